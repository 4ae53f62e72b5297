"""The composition root, with a node in memory: it serves, it stops, it refuses with one line."""

import json
import os
import socket
import subprocess
import sys

import pytest

from raftreg.errors import StartRefused
from raftreg.ports import holder_of
from tests.dev_node import DevNode
from tests.e2e.cluster import finish_get, request, start_get


def test_a_node_in_memory_serves_and_stops() -> None:
    """It is ready at once, keeps what is written, and its port is free afterwards."""
    with DevNode() as node:
        assert 200 == request(node.port, "GET", "/readyz").status
        assert "true" == request(node.port, "PUT", "/v1/kv/key", b"value").text
        assert b"value" == request(node.port, "GET", "/v1/kv/key?raw").body
    with pytest.raises(ConnectionRefusedError):
        request(node.port, "GET", "/readyz")
    assert [] == node.fatal


def test_stopping_answers_blocking_queries() -> None:
    """Whoever waits for a change is answered with what there is."""
    with DevNode() as node:
        index = request(node.port, "PUT", "/v1/kv/key", b"value").headers["x-consul-index"]
        waiting = start_get(node.port, f"/v1/kv/key?index={index}&wait=60s")
        assert 200 == request(node.port, "GET", "/v1/kv/key").status
    assert finish_get(waiting).startswith("HTTP/1.1 200 ")


def test_the_status_names_the_node_and_its_state() -> None:
    """/v1/raftreg/status is local, and gives a digest when asked."""
    with DevNode(node="n7") as node:
        status = request(node.port, "GET", "/v1/raftreg/status?digest").json()
    assert ("n7", "leader", "n7", True) == tuple(status[key] for key in ("Node", "Role", "Leader", "Ready"))
    assert status["StateDigest"]


def test_a_taken_port_is_refused_with_its_holder() -> None:
    """The line names the address and the process that has it."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(StartRefused) as caught, DevNode(http=f"127.0.0.1:{port}"):
            pass
        named = holder_of(port)
    assert f"HTTP (--http): 127.0.0.1:{port} is taken" in str(caught.value)
    assert not sys.platform.startswith("linux") or str(named).startswith(f"process {os.getpid()} ")


def test_an_address_of_another_machine_is_refused() -> None:
    """The line says how to listen on all addresses."""
    with pytest.raises(StartRefused, match="is no address of this machine"), DevNode(http="192.0.2.1:1"):
        pass


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [("Fatal('the disk lied')", 70, "the disk lied"), ("StartRefused('not wanted')", 1, "not wanted")],
)
def test_a_fatal_error_ends_the_process_with_one_line(error: str, code: int, said: str) -> None:
    """Broken promises end with 70, refusals of an operator's making with 1."""
    program = (
        "from raftreg import logs, server; from raftreg.errors import Fatal, StartRefused;"
        f"logs.configure('info', as_json=False); server.end_process({error})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert code == ended.returncode
    assert 1 == len(ended.stderr.splitlines())
    assert said in ended.stderr


def test_logs_are_json_lines_on_request() -> None:
    """With --log-json every line of a node's log is an object with time, level, source and message."""
    program = (
        "import logging; from raftreg import logs; logs.configure('info', as_json=True);"
        "log = logging.getLogger('raftreg.x')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: log.exception('two\\nlines', extra={'term': 3})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    (line,) = ended.stderr.splitlines()
    event = json.loads(line)
    assert ("error", "x", "two\nlines", 3) == tuple(
        event[key] for key in ("level", "source", "message", "term")
    )
    assert "ZeroDivisionError" in event["exception"]


def test_logs_for_people_are_one_line_per_event() -> None:
    """Line breaks and tracebacks are folded into the line of their event."""
    program = (
        "import logging; from raftreg import logs; logs.configure('info', as_json=False);"
        "log = logging.getLogger('raftreg.x')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: log.exception('two\\nlines', extra={'term': 3})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    (line,) = ended.stderr.splitlines()
    assert "ERROR   x: two\\nlines term=3 | Traceback" in line
    assert line.endswith("ZeroDivisionError: division by zero")
