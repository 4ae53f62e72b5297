"""Prometheus 2.24.1 with consul_sd_configs: what is registered in raftreg is what it scrapes."""

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.fetched import PROMETHEUS, needs, takes_long
from tests.e2e.cluster import Cluster, free_ports, wait_until

pytestmark = [needs("prometheus"), takes_long()]
_CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: found
    metrics_path: /v1/agent/metrics
    params: {{format: [prometheus]}}
    consul_sd_configs:
      - server: 127.0.0.1:{http}
        services: [prom-a, prom-b]
        tags: [scraped]
    relabel_configs:
      - source_labels: [__meta_consul_service]
        target_label: service
"""


@pytest.fixture
def prometheus(trio: Cluster, tmp_path: Path) -> Iterator[int]:
    """The port of a Prometheus that discovers through n2."""
    (port,) = free_ports(1)
    config, log = tmp_path / "prometheus.yml", tmp_path / "prometheus.log"
    config.write_text(_CONFIG.format(http=trio["n2"].http))
    command = [
        str(PROMETHEUS),
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=debug",
    ]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _targets(port: int) -> dict[str, str]:
    """Health of each target by the name of its service."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/targets", timeout=5) as answer:
            targets: Any = json.loads(answer.read())["data"]["activeTargets"]
    except OSError:
        return {}
    return {target["labels"]["service"]: target["health"] for target in targets}


def _scraped(port: int) -> dict[str, str] | None:
    """The targets, once none of them is waiting for its first scrape."""
    targets = _targets(port)
    return None if "unknown" in targets.values() else targets


def _register(cluster: Cluster, via: str, name: str, tags: list[str]) -> None:
    body = {"Name": name, "Address": "127.0.0.1", "Port": cluster["n1"].http, "Tags": tags}
    assert 200 == cluster[via].put("/v1/agent/service/register", json.dumps(body).encode()).status


@pytest.mark.timeout(300)
def test_targets_follow_the_registry(trio: Cluster, prometheus: int) -> None:
    """A service appears as a target, a second one joins it, one that is deregistered goes; all without a restart."""
    _register(trio, "n1", "prom-a", ["scraped"])
    _register(trio, "n1", "prom-b", ["other"])
    wait_until("prom-a is a target", lambda: set(_targets(prometheus)) == {"prom-a"}, 60)
    _register(trio, "n3", "prom-b", ["scraped"])
    wait_until("prom-b joins", lambda: set(_targets(prometheus)) == {"prom-a", "prom-b"}, 60)
    trio["n1"].put("/v1/agent/service/deregister/prom-a")
    wait_until("prom-a goes", lambda: set(_targets(prometheus)) == {"prom-b"}, 60)
    assert {"prom-b": "up"} == wait_until("prom-b was scraped", lambda: _scraped(prometheus), 60)
