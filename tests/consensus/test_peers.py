"""What a node makes of being refused by its peers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from raftreg.clock import SystemClock
from raftreg.consensus import circle as consensus_circle
from raftreg.consensus.admission import Admission
from raftreg.consensus.boot import FORGETFUL, NOT_ADMITTED
from raftreg.consensus.circle import Outside
from raftreg.consensus.hello import Hello
from raftreg.consensus.identity import open_data_dir
from raftreg.consensus.journal import Placed
from raftreg.consensus.members import Members
from raftreg.consensus.peers import Peers
from raftreg.consensus.settings import RaftSettings


def _run(work: Callable[[], object]) -> None:
    work()


class Circle:
    """n1 in a cluster of three, which has met n3 alone, if anybody."""

    def __init__(self, *, met: bool) -> None:
        self.newest = Placed(1, 1, Members("c", frozenset({"n1.a", "n2.b", "n3.c"})))
        self.admission = Admission(
            "n1.a",
            lambda: self.newest.members,
            send=lambda member, message: True,
            count_start=lambda: None,
            up=lambda member: None,
            later=lambda work: None,
            is_new=True,
        )
        if met:
            self.admission.met(Hello(1, "c", "n3", "c", "nonce", 1, {}))


class Refused:
    """The peers of n1; notes what would end the process."""

    def __init__(self, folder: Path, circle: Circle | None, *, peers: bool = True) -> None:
        addresses = {f"n{number}": ("127.0.0.1", number) for number in (1, 2, 3)} if peers else {}
        settings = RaftSettings("n1", folder, ("127.0.0.1", 1), addresses, None)
        data_dir = open_data_dir(folder, "n1", SystemClock())
        self.ends: list[str] = []
        self.peers = Peers(
            settings,
            data_dir,
            Outside(
                send=lambda member, message: True,
                reset=lambda member: None,
                aim=lambda targets: None,
                later=lambda seconds, work: None,
                now=lambda: 0.0,
            ),
            adopt=lambda genesis, made_here: None,
            guarded=_run,
            on_fatal=lambda error: self.ends.append(str(error)),
        )
        self.peers.circle = cast(consensus_circle.Circle | None, circle)


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """n1, already let in by one of its peers."""
    return Refused(tmp_path / "n1", Circle(met=True))


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


def test_a_peer_counts_once_however_it_is_written(tmp_path: Path) -> None:
    """N2 and n2 are one."""
    refused = Refused(tmp_path / "n1", Circle(met=False))
    for name in ("n2", "N2"):
        refused.peers.told_refused(name, f"{NOT_ADMITTED}go away")
    assert [] == refused.ends
    refused.peers.told_refused("N3", f"{NOT_ADMITTED}go away")
    assert 1 == len(refused.ends)


def test_a_node_that_a_majority_of_the_others_refuses_ends(tmp_path: Path) -> None:
    """What each of them says may be a mistake of its own."""
    refused = Refused(tmp_path / "n1", Circle(met=False))
    refused.peers.told_refused("n2", f"{NOT_ADMITTED}another cluster")
    refused.peers.told_refused("n9", f"{NOT_ADMITTED}another cluster")
    assert [] == refused.ends
    refused.peers.told_refused("n3", f"{NOT_ADMITTED}another cluster")
    assert ["n3 refused this node: another cluster"] == refused.ends


@pytest.mark.parametrize("alone", [True, False])
def test_a_recovered_node_goes_on_whoever_refuses_it(tmp_path: Path, *, alone: bool) -> None:
    """Those that were given up with its former cluster do not stop it; once it has grown, it may be given up too."""
    circle = Circle(met=False)
    refused = Refused(tmp_path / "n1", circle)
    data_dir = refused.peers.data_dir
    data_dir.identity = replace(data_dir.identity, recovered=True)
    if alone:
        circle.newest = Placed(1, 1, Members("c", frozenset({data_dir.identity.member_id})))
    for name in ("n2", "n3"):
        refused.peers.told_refused(name, f"{NOT_ADMITTED}another cluster")
    assert ([] if alone else ["n3 refused this node: another cluster"]) == refused.ends


@pytest.mark.parametrize("peers", [True, False])
def test_who_waits_to_join_goes_on_trying(tmp_path: Path, *, peers: bool) -> None:
    """One that makes a cluster with its peers has a mistake to mend; one that joins asks others as well."""
    refused = Refused(tmp_path / "n1", None, peers=peers)
    refused.peers.told_refused("n2", f"{NOT_ADMITTED}n1 is not in the --peers of n2")
    assert (["n2 refused this node: n1 is not in the --peers of n2"] if peers else []) == refused.ends


@pytest.mark.parametrize("join", [False, True])
def test_who_waits_for_peers_takes_the_word_of_another_cluster_only_if_told_to_join(
    tmp_path: Path, *, join: bool
) -> None:
    """And makes a cluster with those alone that it was given, in any case."""
    peers = Refused(tmp_path, None).peers
    if join:
        peers.settings = replace(peers.settings, join=[("127.0.0.1", 7)])
    with_cluster, without = (
        Hello(1, "c", "n7", "x", "nonce", 1, {}),
        Hello(1, None, "n7", "x", "nonce", 1, {}),
    )
    assert join == (peers.judge(with_cluster) is None)
    assert "n7 is not in the --peers of n1" in (peers.judge(without) or "")
    assert peers.judge(Hello(1, None, "n2", "b", "nonce", 1, {})) is None
