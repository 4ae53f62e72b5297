"""`raftreg lock` and `raftreg session` against a node in memory."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from raftreg.cli.root import raftreg
from tests.dev_node import DevNode
from tests.e2e.cluster import request, wait_until

SHOW = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('RAFTREG_')}))"


@pytest.fixture(scope="module")
def node() -> Iterator[DevNode]:
    """One node for all tests here."""
    with DevNode(node="n1") as running:
        wait_until("the node", lambda: request(running.port, "GET", "/readyz").status == 200 or None)
        yield running


def process(node: DevNode, *arguments: str) -> "subprocess.Popen[str]":
    """The command line as a process of its own."""
    environ = os.environ | {"RAFTREG_HTTP_ADDR": node.address, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "raftreg", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def invoke(node: DevNode, *arguments: str) -> Result:
    """One command within this process."""
    return CliRunner(env={"RAFTREG_HTTP_ADDR": node.address}).invoke(raftreg, arguments)


def entry(node: DevNode, key: str) -> dict[str, Any] | None:
    """What is stored under a key."""
    reply = request(node.port, "GET", f"/v1/kv/{key}")
    return reply.json()[0] if reply.status == 200 else None


def session(node: DevNode, **body: object) -> str:
    """A session of somebody else."""
    created = request(node.port, "PUT", "/v1/session/create", json.dumps(body).encode())
    return str(created.json()["ID"])


def holder(node: DevNode, key: str) -> str | None:
    """The session that holds the lock of a key."""
    return (entry(node, key) or {}).get("Session")


def test_command_runs_under_the_lock_and_its_exit_code_is_passed_on(node: DevNode) -> None:
    """It finds key, count and fencing token in its environment; afterwards lock and session are free at once."""
    run = process(node, "lock", "one/", "--", sys.executable, "-c", SHOW)
    printed, errors = run.communicate(timeout=60)
    assert (0, "") == (run.returncode, errors)
    told = json.loads(printed)
    shown = entry(node, "one/.lock")
    assert shown is not None
    assert ("one/.lock", "1") == (told["RAFTREG_LOCK_KEY"], told["RAFTREG_LOCK_INDEX"])
    assert int(told["RAFTREG_FENCING_TOKEN"]) < shown["ModifyIndex"]
    assert "Session" not in shown
    again = process(node, "lock", "one", "--", sys.executable, "-c", SHOW + "; raise SystemExit(7)")
    printed, _ = again.communicate(timeout=60)
    assert 7 == again.returncode
    assert "2" == json.loads(printed)["RAFTREG_LOCK_INDEX"]
    assert int(json.loads(printed)["RAFTREG_FENCING_TOKEN"]) > int(told["RAFTREG_FENCING_TOKEN"])


def test_lock_that_is_held_is_waited_for(node: DevNode) -> None:
    """With a timeout it gives up and names the holder; without one it runs as soon as the lock is free."""
    other = session(node, LockDelay="0s")
    assert request(node.port, "PUT", f"/v1/kv/two/.lock?acquire={other}").json() is True
    result = invoke(node, "lock", "two", "--timeout", "0s", "--", "true")
    assert 1 == result.exit_code
    assert f'the lock "two/.lock" was not to be had in time, held by session {other}' in result.stderr
    waiting = process(node, "lock", "two", "--", "true")
    timer = threading.Timer(1.0, request, (node.port, "PUT", f"/v1/session/destroy/{other}"))
    timer.start()
    _, errors = waiting.communicate(timeout=60)
    assert (0, "") == (waiting.returncode, errors)


def test_command_is_terminated_when_the_lock_is_lost(node: DevNode) -> None:
    """Somebody ends the session: within a renewal the command gets SIGTERM, and the exit code is 1."""
    run = process(node, "lock", "three", "--ttl", "10s", "--", "sleep", "60")
    held = wait_until("the lock", lambda: holder(node, "three/.lock"))
    assert 0 == invoke(node, "session", "destroy", held).exit_code
    _, errors = run.communicate(timeout=60)
    assert 1 == run.returncode
    assert 'the lock "three/.lock" was lost' in errors


def test_whoever_stops_the_lock_stops_the_command(node: DevNode) -> None:
    """SIGTERM reaches the command; the lock is given back, and the exit code tells of the signal."""
    run = process(node, "lock", "four", "--", "sleep", "60")
    wait_until("the lock", lambda: holder(node, "four/.lock"))
    wait_until("the command", lambda: _children(run.pid) or None)
    run.terminate()
    run.communicate(timeout=60)
    assert 128 + 15 == run.returncode
    assert holder(node, "four/.lock") is None


def _children(pid: int) -> str:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return children.read()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lock", "x", "--ttl", "abc", "--", "true"), '--ttl: time: invalid duration "abc"'),
        (("lock", "x", "--ttl", "1s", "--", "true"), "Invalid Session TTL"),
        (("lock", "x", "--", "/nowhere/at-all"), "/nowhere/at-all cannot be run: No such file or directory"),
        (("session", "destroy", "11111111-2222-3333-4444-555555555555"), "there is no session 11111111"),
        (("session", "destroy", "nope"), "UUID must be 36 characters"),
    ],
)
def test_mistakes_are_one_line(node: DevNode, arguments: tuple[str, ...], said: str) -> None:
    """What goes wrong is said in one line, exit code 1."""
    result = invoke(node, *arguments)
    assert 1 == result.exit_code
    (line,) = result.stderr.splitlines()
    assert said in line


def test_sessions_are_listed(node: DevNode) -> None:
    """Each with what people want to know of it; of another node there are none."""
    session_id = session(node, Name="shown", TTL="20s", LockDelay="1500ms", Behavior="delete")
    listed = invoke(node, "session", "list").stdout
    (line,) = [line for line in listed.splitlines() if session_id in line]
    assert [session_id, "shown", "n1", "20s", "delete", "1.5s"] == line.split()
    assert session_id not in invoke(node, "session", "list", "--node", "none").stdout
    assert 0 == invoke(node, "session", "destroy", session_id).exit_code
    assert session_id not in invoke(node, "session", "list").stdout
