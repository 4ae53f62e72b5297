"""dig and HAProxy 2.6, which find services by DNS."""

import http.server
import json
import os
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.fetched import HAPROXY, needs, needs_program
from tests.e2e.cluster import Cluster, free_ports, wait_until

_CONFIG = """
global
    stats socket {folder}/haproxy.sock
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
resolvers raftreg
    nameserver n1 127.0.0.1:{dns}
    accepted_payload_size 8192
    hold valid 1s
    hold nx 1s
    resolve_retries 3
    timeout resolve 500ms
    timeout retry 500ms
frontend front
    bind 127.0.0.1:{front}
    default_backend found
backend found
    server-template web 4 _hapweb._tcp.service.consul resolvers raftreg resolve-prefer ipv4 init-addr none
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, int]]:
    """One node that serves DNS, and the port."""
    (port,) = free_ports(1)
    with Cluster(tmp_path_factory.mktemp("served"), 1, dns=f"127.0.0.1:{port}") as cluster:
        cluster.start()
        yield cluster, port


def _register(cluster: Cluster, service_id: str, port: int) -> None:
    body = {"ID": service_id, "Name": "hapweb", "Address": "127.0.0.1", "Port": port, "Tags": ["v1"]}
    assert 200 == cluster["n1"].put("/v1/agent/service/register", json.dumps(body).encode()).status


def _dig(port: int, *words: str) -> str:
    command = ["dig", "@127.0.0.1", "-p", str(port), "+time=5", "+tries=1", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


@needs_program("dig")
def test_dig(served: tuple[Cluster, int]) -> None:
    """dig gets A and SRV records over UDP with EDNS, and over TCP, and NXDOMAIN for what is not there."""
    cluster, port = served
    _register(cluster, "dig-1", 8001)
    assert "127.0.0.1\n" == _dig(port, "+short", "hapweb.service.consul", "A")
    for more in ((), ("+tcp",), ("+noedns",)):
        assert " 8001 " in _dig(port, "+short", "_hapweb._tcp.service.consul", "SRV", *more)
    assert "127.0.0.1\n" == _dig(port, "+short", "V1.HapWeb.Service.Consul", "A")
    assert "status: NXDOMAIN" in _dig(port, "none.service.consul", "A")
    cluster["n1"].put("/v1/agent/service/deregister/dig-1")


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with the own port."""
        body = str(self.connection.getsockname()[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def backends() -> Iterator[list[int]]:
    """Two web servers."""
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [server.server_port for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


def _reached(front: int) -> set[str]:
    """The servers that answer a few requests through HAProxy."""
    found = set()
    for _ in range(4):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{front}/", timeout=5) as answer:
                found.add(answer.read().decode())
        except OSError:
            continue
    return found


@needs("haproxy")
def test_haproxy_follows_srv_records(
    served: tuple[Cluster, int], backends: list[int], tmp_path: Path
) -> None:
    """HAProxy sends requests to the instances that SRV records name, and follows when one comes or goes."""
    cluster, dns = served
    (front,) = free_ports(1)
    config = tmp_path / "haproxy.cfg"
    config.write_text(_CONFIG.format(folder=tmp_path, dns=dns, front=front))
    libraries = HAPROXY / "usr" / "lib" / "x86_64-linux-gnu"
    with (tmp_path / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(
            [str(HAPROXY / "usr" / "sbin" / "haproxy"), "-db", "-f", str(config)],
            env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(libraries)},
            stdout=log,
            stderr=log,
        )
    try:
        for number, port in enumerate(backends):
            _register(cluster, f"hap-{number}", port)
        both = {str(port) for port in backends}
        wait_until("both are reached", lambda: _reached(front) == both, 60)
        cluster["n1"].put("/v1/agent/service/deregister/hap-0")
        wait_until("the other one is left", lambda: str(backends[0]) not in _reached(front), 60)
        assert {str(backends[1])} == _reached(front)
    finally:
        process.kill()
        process.wait(timeout=30)
