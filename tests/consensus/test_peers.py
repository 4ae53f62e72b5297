"""What a node makes of being refused by its peers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from raftreg.clock import SystemClock
from raftreg.consensus.admission import Admission
from raftreg.consensus.boot import FORGETFUL, NOT_ADMITTED
from raftreg.consensus.hello import Hello
from raftreg.consensus.identity import open_data_dir
from raftreg.consensus.members import Members
from raftreg.consensus.peers import Peers
from raftreg.consensus.settings import RaftSettings


def _run(work: Callable[[], object]) -> None:
    work()


class Refused:
    """The peers of n1 in a cluster of three, which have met nobody yet; notes what would end the process."""

    def __init__(self, folder: Path) -> None:
        peers = {"n1": ("127.0.0.1", 1), "n2": ("127.0.0.1", 2), "n3": ("127.0.0.1", 3)}
        settings = RaftSettings("n1", folder, peers["n1"], peers, None)
        data_dir = open_data_dir(folder, "n1", SystemClock())
        self.ends: list[str] = []
        self.peers = Peers(
            settings,
            data_dir,
            send=lambda member, message: True,
            reset=lambda member: None,
            adopt=lambda genesis, made_here: None,
            guarded=_run,
            on_fatal=lambda error: self.ends.append(str(error)),
            later=lambda seconds, work: None,
        )
        self.peers.admission = Admission(
            "n1.a",
            lambda: Members("c", frozenset({"n1.a", "n3.c"})),
            send=lambda member, message: True,
            count_start=lambda: None,
            up=lambda member: None,
            later=lambda work: None,
        )
        self.peers.admission.met(Hello(1, "c", "n3", "c", "nonce", 1, {}))


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """n1, already let in by one of its peers."""
    return Refused(tmp_path / "n1")


def test_one_peer_that_knows_a_newer_process_ends_this_one(refused: Refused) -> None:
    """A node that forgot its promises ends, also if another peer, which did not meet its newer process, let it in."""
    refused.peers.told_refused("n2", f"{FORGETFUL}an old copy")
    assert ["n2 refused this node: an old copy"] == refused.ends
    assert "n2 refused this node: an old copy" == refused.peers.data_dir.identity.outdated


@pytest.mark.parametrize("text", [f"{NOT_ADMITTED}not a member", f"unproved: {FORGETFUL}an old copy", "busy"])
def test_other_refusals_do_not_end_a_node_that_was_let_in(refused: Refused, text: str) -> None:
    """What may pass, what one peer alone thinks, and what nobody proved is no reason to end."""
    refused.peers.told_refused("n2", text)
    assert [] == refused.ends
