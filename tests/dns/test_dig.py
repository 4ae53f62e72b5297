"""What the real dig makes of the answers."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.dev_node import DevNode
from tests.e2e.cluster import request

DIG = shutil.which("dig")
needs_dig = pytest.mark.skipif(DIG is None, reason="dig is not installed (Debian: apt-get install dnsutils)")


@pytest.fixture(scope="module")
def node() -> Iterator[DevNode]:
    """A node with a service on two nodes."""
    with DevNode(node="n1") as node:
        for number in (1, 2):
            body = (
                f'{{"Node": "w{number}", "Address": "10.0.0.{number}", "NodeMeta": {{"k": "v"}},'
                f' "Service": {{"Service": "web", "Port": 8{number}}}}}'
            )
            assert 200 == request(node.port, "PUT", "/v1/catalog/register", body.encode()).status
        yield node


def _dig(node: DevNode, *arguments: str) -> str:
    assert DIG is not None
    command = [DIG, "@127.0.0.1", "-p", str(node.dns_port), "+tries=1", "+timeout=20", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ";; Warning" not in ended.stdout + ended.stderr
    assert "malformed" not in ended.stdout.lower()
    return ended.stdout


@needs_dig
@pytest.mark.parametrize("how", ["+notcp", "+tcp", "+noedns", "+bufsize=512", "+dnssec", "+nocookie"])
def test_dig_reads_every_section(node: DevNode, how: str) -> None:
    """Answers, additional records, flags and authority, by every way of asking."""
    shown = _dig(node, how, "web.service.consul", "SRV")
    assert "status: NOERROR" in shown
    assert "flags: qr aa rd;" in shown
    rows = {" ".join(row.split()) for row in shown.splitlines()}
    assert "web.service.consul. 0 IN SRV 1 1 81 w1.node.dc1.consul." in rows
    assert "w2.node.dc1.consul. 0 IN A 10.0.0.2" in rows
    assert 'w2.node.dc1.consul. 0 IN TXT "k=v"' in rows
    absent = _dig(node, how, "none.service.consul")
    assert "status: NXDOMAIN" in absent
    assert "SOA\tns.consul. hostmaster.consul." in absent


@needs_dig
def test_dig_finds_names_both_ways(node: DevNode) -> None:
    """Short answers as scripts take them, and the reverse."""
    assert {"10.0.0.1", "10.0.0.2"} == set(_dig(node, "+short", "web.service.consul").split())
    assert "w1.node.dc1.consul.\n" == _dig(node, "+short", "-x", "10.0.0.1")
    assert "127.0.0.1\n" == _dig(node, "+short", "n1.node.consul")
    assert "status: REFUSED" in _dig(node, "example.com")
