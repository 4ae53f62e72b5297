"""Fixtures of the end-to-end tests: clusters of real processes."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the fixtures know whether the test failed, so that they show the logs of the nodes."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture
def stopped_cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Three nodes that were never started; ended after the test, their last log lines shown if it failed."""
    with Cluster(tmp_path) as prepared:
        yield prepared
        if request.node.stash.get(_FAILED, False):
            prepared.show_logs()


@pytest.fixture
def cluster(stopped_cluster: Cluster) -> Cluster:
    """Three nodes, started and ready."""
    stopped_cluster.start()
    return stopped_cluster
