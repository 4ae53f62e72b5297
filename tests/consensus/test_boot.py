"""How a cluster begins, and who is let in."""

from dataclasses import dataclass

import pytest

from raftreg.consensus.boot import NOT_ADMITTED, Bootstrap, refusal, refusal_without_cluster
from raftreg.consensus.members import CONFIG, Members

NAMES = ("n1", "n2", "n3")


@dataclass(frozen=True)
class Hello:
    """The part of a hello that decides."""

    name: str
    member_id: str
    cluster_id: str | None = None


def test_the_least_name_makes_the_genesis_when_all_are_there() -> None:
    """It names the ids that it met, whatever the order."""
    boot = Bootstrap("n1", "n1.x", NAMES)
    boot.met(Hello("n3", "n3.z"))
    assert (None, ["n2"]) == (boot.genesis(), boot.missing)
    boot.met(Hello("n2", "n2.y"))
    members = Members.decode(boot.genesis() or b"")
    assert members is not None
    assert frozenset({"n1.x", "n2.y", "n3.z"}) == members.voters


def test_others_never_make_a_genesis() -> None:
    """They wait for it."""
    boot = Bootstrap("n2", "n2.y", NAMES)
    boot.met(Hello("n1", "n1.x"))
    boot.met(Hello("n3", "n3.z"))
    assert boot.genesis() is None


def test_two_wiped_nodes_of_three_make_no_second_cluster() -> None:
    """The third has a cluster, so none is made, now or later."""
    boot = Bootstrap("n1", "n1.x", NAMES)
    boot.met(Hello("n2", "n2.y"))
    boot.met(Hello("n3", "n3.z", "cluster"))
    boot.met(Hello("n3", "n3.q"))
    assert boot.genesis() is None


def test_a_peer_that_went_away_is_waited_for_again() -> None:
    """Its directory may be another one when it comes back."""
    boot = Bootstrap("n1", "n1.x", NAMES)
    boot.met(Hello("n2", "n2.y"))
    boot.met(Hello("n3", "n3.z"))
    boot.lost("n2.y")
    assert boot.genesis() is None


def test_a_node_alone_begins_at_once() -> None:
    """--peers that name one node need nobody else."""
    assert Bootstrap("n1", "n1.x", ["n1"]).genesis() is not None


def test_the_cluster_id_follows_from_the_incarnations() -> None:
    """Other incarnations are another cluster."""
    assert Members.genesis(["a.1", "b.1"]).cluster_id != Members.genesis(["a.2", "b.1"]).cluster_id


MEMBERS = Members("c1", frozenset({"n1.x", "n2.y", "n3.z"}))


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        (Hello("n2", "n2.y", "c1"), None),
        (Hello("n2", "n2.y"), None),
        (Hello("n2", "n2.y", "c2"), "has the data of cluster c2, but n1 is in cluster c1"),
        (Hello("n2", "n2.w"), "the data directory of n2 is not the one that the cluster knows"),
        (Hello("n2", "n2.w", "c1"), "the data directory of n2 is not the one that the cluster knows"),
        (Hello("n9", "n9.w"), "n9 is not a member of cluster c1 (members: n1, n2, n3)"),
    ],
)
def test_who_is_let_in(hello: Hello, why: str | None) -> None:
    """A member is known by its incarnation, not by its name."""
    told = refusal(MEMBERS, "n1", hello)
    if why is None:
        assert told is None
    else:
        assert told is not None
        assert told.startswith(NOT_ADMITTED)
        assert why in told


def test_a_node_without_a_cluster_talks_to_its_peers_only() -> None:
    """A name that is not in --peers is a mistake in somebody's configuration."""
    assert refusal_without_cluster("n1", NAMES, Hello("n2", "n2.y")) is None
    assert "n7 is not in the --peers of n1" in (
        refusal_without_cluster("n1", NAMES, Hello("n7", "n7.y")) or ""
    )


def test_a_malformed_member_set_is_a_value_error() -> None:
    """Bytes of a stranger never become a member set."""
    for junk in (
        b"",
        b"\xff",
        b"\x93\x01\x02\x03",
        b"\x95\x01\xa1c\x90\x90\x90",
        b"\x95\x07\xa1c\x91\xa1a\x90\x90",
    ):
        with pytest.raises(ValueError, match=r"member|voters"):
            Members.decode(CONFIG + junk)
