"""Clusters for the tests with real clients. Each file has one, because clients start slowly."""

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes."""
    with Cluster(tmp_path_factory.mktemp("trio")) as cluster:
        cluster.start()
        yield cluster
