"""`raftreg verify` as a user runs it: usage, a real cluster with real faults, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from raftreg.addresses import Address
from raftreg.cli.root import raftreg
from raftreg.verify.options import FAULTS, WORKLOADS, parse_pairs, parse_urls

PATIENCE_S = 120.0


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """The command, whose nodes keep their data below `folder`."""
    line = [sys.executable, "-m", "raftreg", "verify", "--data", str(folder), "--no-report", *arguments]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def left_behind(folder: Path) -> list[str]:
    """Processes whose command line names the folder, and what is in it."""
    found = [str(path) for path in folder.iterdir()]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # It ended while we looked.
        if str(folder) in line:
            found.append(line)
    return found


def test_a_cluster_under_faults_passes_and_nothing_of_it_stays(tmp_path: Path) -> None:
    """Real nodes are killed, cut and paused; the verdict is JSON on standard output, the progress beside it."""
    process = start(
        tmp_path,
        "--seconds",
        "4",
        "--faults",
        "kill,partition,pause",
        "--workloads",
        "registers,set",
        "--json",
    )
    told, progress = process.communicate(timeout=PATIENCE_S)
    assert 0 == process.returncode, told + progress
    document = json.loads(told)
    assert "PASS" == document["verdict"]
    assert {"PASS"} == {check["outcome"] for check in document["checks"]}
    assert sum(document["tried"]["faults"].values()) >= 1
    assert "calls" in progress
    assert [] == left_behind(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 130, one line, no process and no directory."""
    process = start(tmp_path, "--seconds", "60", "--workloads", "registers")
    assert process.stderr is not None
    for line in process.stderr:
        if "calls" in line:
            break
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert (130, "stopped: everything was ended, and there is no verdict") == (
        process.returncode,
        said.splitlines()[-1],
    )
    assert [] == left_behind(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nodes", "4"], "'4' is not one of '3', '5'"),
        (["--faults", "fire"], '"fire" is none of kill, stop'),
        (["--workloads", "none"], "nothing would be looked at"),
        (["--allow-faults"], "needs no way to act on it"),
        (["--http", "127.0.0.1:1", "--allow-faults"], "--allow-faults needs one of --pids"),
        (["--http", "127.0.0.1:1", "--pids", "n1=1"], "and they need it"),
        (["--http", "127.0.0.1:1", "--allow-faults", "--pids", "n2=1"], "n2 is no node: --http names n1"),
        (["--http", "127.0.0.1:1", "--allow-faults", "--pids", "n1"], "write NODE=NAME"),
        (["--http", "https://a"], "only http:// is spoken"),
        (["--seconds", "0"], "not in the range"),
        (["--report", "/no/such/folder/page.html"], "cannot be written: choose another folder"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], said: str) -> None:
    """With exit code 2, before anything is done."""
    result = CliRunner().invoke(raftreg, ["verify", *arguments])
    assert 2 == result.exit_code
    assert said in result.output


def test_help_shows_every_workload_and_fault() -> None:
    """With the commands to begin with."""
    text = CliRunner().invoke(raftreg, ["verify", "--help"]).output
    assert all(f"  {name} " in text for name in (*WORKLOADS, *FAULTS))
    assert "raftreg verify --http" in text


def test_what_is_kept_is_named(tmp_path: Path) -> None:
    """With --keep the data and logs of the nodes stay, and the last lines say where."""
    process = start(tmp_path, "--seconds", "1", "--faults", "none", "--workloads", "set", "--keep", "--quiet")
    told, said = process.communicate(timeout=PATIENCE_S)
    assert ("", True) == (said, "All 5 checks passed." in told), told
    (folder,) = tmp_path.iterdir()
    assert f"kept       {folder}" in told
    assert {"n1", "n2", "n3", "n1.log", "n2.log", "n3.log"} == {path.name for path in folder.iterdir()}


def test_nodes_are_named_or_numbered() -> None:
    """Port 80 if none is given; names must differ."""
    parsed = parse_urls("http://10.0.0.1:8500,b=10.0.0.2:8501/,http://c.example")
    assert {
        "n1": Address("10.0.0.1", 8500),
        "b": Address("10.0.0.2", 8501),
        "n3": Address("c.example", 80),
    } == parsed
    with pytest.raises(ValueError, match="a name of its own"):
        parse_urls("a=10.0.0.1:1,a=10.0.0.2:1")
    assert {"n1": "x", "n2": "y"} == parse_pairs("n1=x,n2=y", "NAME")
