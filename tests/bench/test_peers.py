"""What the harness needs to know of peers: who dials whom, and what it says to etcd over gRPC."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from bench.harness import grpc
from bench.harness.clusters import Consul, Etcd, Raftreg
from bench.harness.figures import DOWN, UP, Figure, Results
from bench.harness.goals import judge
from bench.harness.links import NOBODY, Links, dialer
from bench.harness.targets import Running
from bench.workloads import Scope
from bench.workloads.election import Election
from bench.workloads.resources import Resources
from raftreg.verify.wires import Wires

SAID = """
finished in 2.00s, 7478.00 req/s, 682.03KB/s
requests: 14956 total, 15020 started, 14956 done, 14956 succeeded, 0 failed, 0 errored, 0 timeout
traffic: 1.33MB (1396798) total, 29.96KB (30680) headers (space savings 94.60%), 467.25KB (478466) data
"""


def test_a_dialer_is_known_by_its_port() -> None:
    """This process and no other, by the port of its connection; a port that nobody has is nobody's."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE) as other,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as mine,
        socket.socket() as unused,
    ):
        pids = {"other": other.pid, "me": os.getpid()}
        unused.bind(("127.0.0.1", 0))
        assert ["me", NOBODY] == [dialer(each.getsockname()[1], pids) for each in (mine, unused)]
        assert NOBODY == dialer(mine.getsockname()[1], {})
        other.communicate(b"")


def test_an_isolated_node_is_heard_by_nobody_and_hears_nobody() -> None:
    """Bytes in both directions wait until the links are healed, though all dial it by one address."""
    with socket.create_server(("127.0.0.1", 0)) as server, Wires() as wires:
        port = wires.lead_all("n2", server.getsockname()[1], lambda _: "n1")
        with socket.create_connection(("127.0.0.1", port)) as dialing:
            dialing.sendall(b"a")
            accepted, _ = server.accept()
            with accepted:
                assert b"a" == accepted.recv(1)
                links = Links(wires, ("n1", "n2", "n3"))
                links.isolate(1)
                dialing.sendall(b"b")
                accepted.sendall(b"c")
                for silent in (dialing, accepted):
                    silent.settimeout(0.2)
                    assert "nothing" == _received(silent)
                links.heal()
                for speaking, expected in ((accepted, b"b"), (dialing, b"c")):
                    speaking.settimeout(30.0)
                    assert expected == speaking.recv(1)


def _received(connection: socket.socket) -> str:
    try:
        return str(connection.recv(1))
    except TimeoutError:
        return "nothing"


def test_who_can_be_cut_off_has_addresses_of_proxies(tmp_path: Path) -> None:
    """Nodes of raftreg and of etcd dial ports of the wires; Consul's cannot, and the reason is there to be told."""
    with Wires() as wires:
        for target in (Raftreg(tmp_path / "a"), Etcd(tmp_path / "b", "etcd", fast=False)):
            linked = target.linked(wires)
            assert linked is not None
            assert linked.links is not None
            assert linked.folder != target.folder
        consul = Consul(tmp_path / "c", "consul", fast=False)
        assert consul.linked(wires) is None
        assert "UDP" in consul.unlinked


def test_messages_are_protocol_buffers_of_etcd() -> None:
    """Fields 1 and 2 of a put are key and value; a range has its end in 2, and 7 says that any copy will do."""
    assert b"\x0a\x10key/00/000000001\x12\x03xxx" == grpc.put(3).fields
    assert b"\x0a\x10key/00/000000001\x38\x01" == grpc.get(stale=True).fields
    assert b"\x0a\x02a/\x12\x02a0" == grpc.find(b"a/", stale=False, answer_bytes=1).fields


def test_what_h2load_says_is_read() -> None:
    """Rate, answers that are no 200, and the bytes of all answers."""
    found = grpc.read(SAID, [(200, 0.001), (200, 0.002), (503, 0.009)])
    assert (7478.0, 3, 1, 0.002) == (found.rate, found.requests, found.bad, found.at(0.5))
    assert 478466 == grpc.data_bytes(SAID)


def test_a_goal_over_http_is_not_held_against_grpc() -> None:
    """Only those that say so are; and where gRPC was not measured, these say that."""

    def said(*peers: str) -> dict[str, tuple[str, str]]:
        figures = [
            Figure("writes", case, metric, "x", better, 1.0, target)
            for case, metric, better in (
                ("1 client, leader", "p50", DOWN),
                ("64 clients, leader", "rate", UP),
            )
            for target in ("raftreg", *peers)
        ]
        verdicts = judge(Results({}, {}, figures=figures))
        return {verdict.goal.metric: (verdict.peer, verdict.why) for verdict in verdicts if verdict.ours}

    assert {"p50": ("", "no peer in this run"), "rate": ("etcd-grpc", "")} == said("etcd-grpc")
    assert {"p50": ("etcd", ""), "rate": ("etcd", "gRPC not measured")} == said("etcd")


def test_what_is_not_measured_has_a_reason(tmp_path: Path) -> None:
    """A quick run leaves Consul's slow elections out, and nobody looks at processes of a cluster that runs already."""
    consul, fast = (Consul(tmp_path, "consul", fast=fast) for fast in (False, True))
    assert "only in a full run" in Election(Scope(quick=True)).unfit(consul)
    assert ["", ""] == [Election(Scope(quick=True)).unfit(fast), Election(Scope(quick=False)).unfit(consul)]
    assert "processes" in Resources(Scope(quick=True)).unfit(Running(["http://127.0.0.1:1"]))
