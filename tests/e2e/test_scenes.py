"""The scenes of the end-to-end tests see what is wrong: a check that cannot fail would say nothing."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import members
from tests.e2e.cluster import Node, free_ports

REFUSAL = "refused this node: not admitted: n1 has the data of cluster {}, but n3 is in cluster {}\n"


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[Node]:
    """A node with the log of a former life, whose process answers nobody and says nothing."""
    http, raft = free_ports(2)
    node = Node("n1", http, raft, tmp_path / "n1", tmp_path / "n1.log", [])
    node.log.write_text("n1.1 in cluster former: log up to entry 1\n" + REFUSAL.format("former", "ours"))
    node.log_bytes = node.log.stat().st_size
    node.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield node
    if node.process is not None:
        node.kill()


def test_a_former_member_is_refused_only_once_it_says_so(mute: Node) -> None:
    """What its log held before it was started counts for nothing, nor does the name of its own cluster."""
    assert not members.is_refused(mute, "ours")
    with mute.log.open("a") as log:
        log.write("n1.1 in cluster former: log up to entry 6\n")
    assert not members.is_refused(mute, "ours")
    with mute.log.open("a") as log:
        log.write(REFUSAL.format("former", "ours"))
    assert members.is_refused(mute, "ours")


def test_a_former_member_that_ends_has_to_say_why(mute: Node) -> None:
    """An end for another reason is no refusal."""
    assert mute.process is not None
    mute.process.kill()
    mute.process.wait()
    with pytest.raises(AssertionError, match="n1 ended with -9"):
        members.is_refused(mute, "ours")
