"""Acting on a running cluster: commands by the names that the user gave, and scripts."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from raftreg.addresses import Address
from raftreg.verify.options import WAYS
from raftreg.verify.remote import COMMANDS, Remote
from raftreg.verify.target import CannotAct
from tests.e2e.cluster import wait_until

URLS = {"n1": Address("127.0.0.1", 1), "n2": Address("127.0.0.1", 2)}


def script(folder: Path, text: str) -> Path:
    """An executable shell script."""
    path = folder / "faults.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_script_is_called_with_what_to_do(tmp_path: Path) -> None:
    """One call per action, cut per direction; heal once."""
    log = tmp_path / "log"
    target = Remote(URLS, script=script(tmp_path, f'echo "$@" >> {log}'))

    async def work() -> None:
        await target.act("kill", "n1")
        await target.act("start", "n1")
        await target.cut([("n1", "n2"), ("n2", "n1")], silently=True)
        await target.heal()

    asyncio.run(work())
    assert ["kill n1", "start n1", "cut n1 n2", "cut n2 n1", "heal"] == log.read_text().splitlines()


@pytest.mark.parametrize(
    ("text", "said"),
    [("exit 3", "not possible there"), ("echo no such node >&2; exit 1", "exit code 1: no such node")],
)
def test_a_script_that_fails_is_told(tmp_path: Path, text: str, said: str) -> None:
    """With the call, and its last words."""
    target = Remote(URLS, script=script(tmp_path, text))
    with pytest.raises(CannotAct, match=f"pause n1: {said}"):
        asyncio.run(target.act("pause", "n1"))


def test_pids_are_paused_and_go_on() -> None:
    """By signals, as /proc shows."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        target = Remote(URLS, "pids", {"n1": str(process.pid)})
        assert frozenset({"pause"}) == target.abilities
        asyncio.run(target.act("pause", "n1"))
        wait_until("it is stopped", lambda: _is_stopped(process.pid))
        asyncio.run(target.act("resume", "n1"))
        wait_until("it goes on", lambda: not _is_stopped(process.pid))
        with pytest.raises(CannotAct, match="no way to kill n1"):
            asyncio.run(target.act("kill", "n1"))
        with pytest.raises(CannotAct, match="no way to pause n2"):
            asyncio.run(target.act("pause", "n2"))
    finally:
        process.kill()
        process.communicate()


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_each_way_undoes_what_it_does() -> None:
    """start for kill and stop, resume for pause; every way that the command line knows has its commands."""
    assert set(WAYS) == set(COMMANDS)
    for commands in COMMANDS.values():
        assert ("kill" in commands or "stop" in commands) == ("start" in commands)
        assert ("pause" in commands) == ("resume" in commands)


def test_a_command_that_is_not_there_is_told() -> None:
    """With the name of the command."""
    with pytest.raises(CannotAct, match="no-such-script kill n1: No such file"):
        asyncio.run(Remote(URLS, script=Path("no-such-script")).act("kill", "n1"))
