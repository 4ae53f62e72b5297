"""`python -m bench` as a user runs it: wrong usage, what does not answer, and Ctrl-C in the middle."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import compare
from tests.bench.test_harness import results
from tests.e2e.cluster import free_ports
from tests.verify.test_command import left_behind

PATIENCE_S = 120.0


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of a command that starts nothing."""
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    try:
        return bench.main()
    except SystemExit as exit_:
        return int(str(exit_.code))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--versus", "zookeeper"], "'zookeeper' is none of consul, consul-fast, etcd, etcd-fast"),
        (["--only", "reads,dreams"], "'dreams' is none of resources, writes"),
        (["--url", "127.0.0.1:8500"], "write http://HOST:PORT"),
        (["--url", "http://127.0.0.1:1", "--versus", "etcd"], "give one of them"),
        (["--data", "/no/such/folder"], "/no/such/folder is no folder"),
        (["--out", "/dev/null/out"], "none can be made there"),
        (["--rounds", "0"], "at least 1"),
    ],
)
def test_wrong_usage_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """With exit code 2, before anything is started."""
    assert 2 == run(monkeypatch, *arguments)
    assert said in capsys.readouterr().err


def test_a_cluster_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """At once, with its address; nothing is written."""
    (port,) = free_ports(1)
    arguments = ["--url", f"http://127.0.0.1:{port}", "--out", str(tmp_path / "out")]
    assert 1 == run(monkeypatch, *arguments)
    assert f"bench: http://127.0.0.1:{port} does not answer" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


def test_told_to_stop_it_ends_everything(tmp_path: Path) -> None:
    """Exit code 130, one line, no process and no file."""
    line = [
        sys.executable,
        "-m",
        "bench",
        "--only",
        "writes",
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=environ)
    assert process.stderr is not None
    for told in process.stderr:
        if "writes: raftreg" in told:
            break
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert 130 == process.returncode, said
    assert "stopped: everything was ended, and nothing was written" == said.splitlines()[-1]
    assert [] == left_behind(tmp_path)


def test_two_results_are_compared_as_a_file(tmp_path: Path) -> None:
    """`bench/compare.py OLD NEW` names what is worse, and ends with 1; with 2 where there is nothing to compare."""
    for name, rate in (("old", 100.0), ("new", 50.0)):
        (tmp_path / name).mkdir()
        results(ours=(rate, rate), peer=()).write(tmp_path / name)

    def said(*names: str) -> tuple[int, str]:
        command = [sys.executable, compare.__file__, *(str(tmp_path / name) for name in names)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    code, text = said("old", "new")
    assert 1 == code, text
    assert "1 worse by more than their noise" in text
    assert "writes / 64 clients, leader / rate at raftreg: 100 -> 50" in text
    assert 0 == said("new", "old")[0]
    assert "give a folder that bench/run.sh wrote" in said("old", "other")[1]
    assert 2 == said("old", "other")[0]
