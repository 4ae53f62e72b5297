"""How a cluster begins, and who is let in."""

from dataclasses import dataclass

import pytest

from raftreg.consensus.boot import (
    NOT_ADMITTED,
    STRANGERS_MAX,
    Bootstrap,
    refusal,
    refusal_of_stranger,
    refusal_without_cluster,
    what_to_run,
)
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


def test_peers_are_known_in_any_case() -> None:
    """--peers may write a name otherwise than its node does, here and there."""
    boot = Bootstrap("n1", "n1.x", ("N1", "N2", "n3"))
    boot.met(Hello("n2", "n2.y"))
    assert ["n3"] == boot.missing
    boot.met(Hello("N3", "N3.z"))
    members = Members.decode(boot.genesis() or b"")
    assert members is not None
    assert frozenset({"n1.x", "n2.y", "N3.z"}) == members.voters
    assert refusal_without_cluster("n1", ("N1", "N2"), Hello("n2", "n2.y")) is None


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


def test_nodes_of_two_clusters_do_not_talk() -> None:
    """Both clusters are named. Whoever has none may become a member of this one."""
    assert refusal("c1", "n1", Hello("n2", "n2.y", "c1")) is None
    assert refusal("c1", "n1", Hello("n9", "n9.w")) is None
    told = refusal("c1", "n1", Hello("n2", "n2.y", "c2")) or ""
    assert told.startswith(NOT_ADMITTED)
    assert "has the data of cluster c2, but n1 is in cluster c1: one of the two has the wrong" in told


@pytest.mark.parametrize(
    ("hello", "connected", "why"),
    [
        (Hello("n4", "n4.w"), ["n2.y"], None),
        (Hello("n2", "n2.w"), ["n3.z"], None),
        (Hello("n2", "n2.w"), ["n2.w", "n3.z"], None),
        (Hello("n2", "n2.w"), ["n2.y"], "n2.y is connected and alive, and n2.w has its name"),
        (Hello("N2", "N2.w"), ["n2.y"], "n2.y is connected and alive"),
        (Hello("n4", "n4.w"), ["n4.v"], "n4.v is connected and alive"),
        (Hello("n4", "n4.w"), [f"m{number}.w" for number in range(STRANGERS_MAX)], "16 nodes wait"),
        (Hello("n4", "n4.w"), ["n2.y", *(f"m{number}.w" for number in range(STRANGERS_MAX - 1))], None),
    ],
)
def test_which_strangers_are_let_in(hello: Hello, connected: list[str], why: str | None) -> None:
    """Anybody whose name is free now, up to a number; who is not goes on trying."""
    told = refusal_of_stranger(hello, connected, MEMBERS.all)
    if why is None:
        assert told is None
    else:
        assert told is not None
        assert why in told
        assert not told.startswith(NOT_ADMITTED)


def test_what_to_run_for_a_stranger() -> None:
    """Whoever has the name of a member takes its place."""
    assert "raftreg operator raft replace n2" == what_to_run("n2", "n2.w", MEMBERS.all)
    assert "raftreg operator raft add n4" == what_to_run("n4", "n4.w", MEMBERS.all)
    assert "raftreg operator raft add n2" == what_to_run("n2", "n2.y", MEMBERS.all)


def test_a_node_that_waits_to_join_makes_no_cluster() -> None:
    """It has no peers, so it takes any member's word, but not that of one that waits as well."""
    boot = Bootstrap("n4", "n4.w", ())
    assert boot.genesis() is None
    assert refusal_without_cluster("n4", (), Hello("n1", "n1.x", "c1")) is None
    told = refusal_without_cluster("n4", (), Hello("n5", "n5.v")) or ""
    # A member with a name that an empty node does not expect has others to turn to: it need not end.
    other = refusal_without_cluster("n1", NAMES, Hello("n7", "n7.y", "c1")) or ""
    assert "--join" in other
    assert not other.startswith(NOT_ADMITTED)
    assert "neither n4 nor n5 has a cluster yet" in told
    assert not told.startswith(NOT_ADMITTED)


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
        b"\x95\x00\xa1c\x91\xa1a\x90\x90",
    ):
        with pytest.raises(ValueError, match=r"member|voters"):
            Members.decode(CONFIG + junk)
