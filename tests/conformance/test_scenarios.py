"""Scenarios recorded from Consul 1.8.7, replayed against one node and against a cluster of three."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.corpus import load, replay_all
from tests.conformance.replay import Target
from tests.e2e.cluster import Cluster, free_ports

SCENARIOS = load()


def start(folder: Path, size: int) -> Cluster:
    """Some nodes that serve HTTP and DNS, not started yet."""
    cluster = Cluster(folder, size)
    for node, port in zip(cluster.nodes.values(), free_ports(size), strict=True):
        node.arguments[node.arguments.index("--dns") + 1] = f"127.0.0.1:{port}"
    return cluster


def targets_of(cluster: Cluster) -> list[Target]:
    """The nodes as the scenarios see them."""
    found = []
    for node in cluster.nodes.values():
        host, _, port = node.arguments[node.arguments.index("--dns") + 1].rpartition(":")
        found.append(Target.at(f"http://127.0.0.1:{node.http}", (host, int(port))))
    return found


@pytest.fixture(scope="module", params=[1, 3], ids=["one node", "three nodes"])
def difference(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """What differed in a scenario; all that are wanted are replayed at once, because most of them wait."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    asked = [item.callspec.params for item in items if hasattr(item, "callspec")]
    wanted = {each["scenario"] for each in asked if each.get("difference") == request.param}
    with start(tmp_path_factory.mktemp("conformance"), request.param) as cluster:
        cluster.start()
        chosen = [scenario for name, scenario in SCENARIOS.items() if name in wanted]
        found = replay_all(chosen, targets_of(cluster))
        yield lambda name: found[name]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, difference: Callable[[str], str]) -> None:
    """The answers to these requests are those of Consul."""
    assert "" == difference(scenario)
