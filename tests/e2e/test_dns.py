"""DNS of three nodes: what was registered through one is answered by all, also by one that is left alone."""

import re
import socket
import time
from pathlib import Path

from tests.dns.messages import Message, make_query, parse
from tests.e2e.cluster import Cluster, Node, request


def _ask(node: Node, name: str) -> Message:
    where = re.search(r"DNS on 127\.0\.0\.1:(\d+)", node.log.read_text())
    assert where is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.sendto(make_query(name), ("127.0.0.1", int(where[1])))
        return parse(sock.recv(65535))


def test_every_node_answers_with_or_without_a_leader(tmp_path: Path) -> None:
    """A registration through one node is seen by the others, and by one that lost both of them."""
    with Cluster(tmp_path, dns="127.0.0.1:0") as cluster:
        cluster.start()
        n1, n2, n3 = cluster.nodes.values()
        body = b'{"Node": "w", "Address": "10.0.0.1", "Service": {"Service": "web"}}'
        assert 200 == request(n1.http, "PUT", "/v1/catalog/register", body).status
        for node in (n1, n2, n3):
            end = time.monotonic() + 20
            while not _ask(node, "web.service.consul").answer and time.monotonic() < end:
                time.sleep(0.02)
            assert ["web.service.consul. 0 A 10.0.0.1"] == _ask(node, "web.service.consul").answer
        n1.kill()
        n2.kill()
        assert ["web.service.consul. 0 A 10.0.0.1"] == _ask(n3, "web.service.consul").answer
        assert "NXDOMAIN" == _ask(n3, "none.service.consul").rcode
