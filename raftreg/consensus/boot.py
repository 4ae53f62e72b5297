"""How a cluster comes to be, and who is let in: decisions over hellos, without IO.

Who is a member, or might become one, is let in: any process that holds the key and has no other cluster. One that is in
no member set is a stranger. It is told the genesis if it has none, and of the members, and waits for an operator to add
it. So a member that lost its disk is let in too, as somebody new under its old name, which promised nothing yet.

A node without a cluster id does not run Raft. The least of the names in `--peers` makes the genesis, and only
while every named peer is connected and said that it has no cluster either; the genesis names the ids that it
saw. So two wiped nodes of three cannot make a second cluster, because the third is not empty. Everybody else is
told the genesis and stores it.
"""

from collections.abc import Collection, Iterable
from typing import Protocol

from raftreg.consensus.members import Members, name_of, same_name

NOT_ADMITTED = "not admitted: "
"""Begins every refusal that the refused node cannot outwait: it must be mended by an operator."""

FORGETFUL = NOT_ADMITTED + "forgetful: "
"""Begins those that one peer's word is enough for: the refused process runs on a copy of a data directory."""

STRANGERS_MAX = 16  # connected with one node


class Introduction(Protocol):
    """What of a hello matters here."""

    @property
    def cluster_id(self) -> str | None:
        """The cluster that the peer belongs to, None if it has none yet."""
        ...

    @property
    def name(self) -> str:
        """The peer's name."""
        ...

    @property
    def member_id(self) -> str:
        """name.incarnation."""
        ...


class Bootstrap:
    """The first start of a node: whom it met, and whether it is its turn to make the genesis."""

    def __init__(self, name: str, member_id: str, peers: Iterable[str]) -> None:
        self.name = name
        self.member_id = member_id
        names = {peer.lower(): peer for peer in peers}
        self.named = names.pop(name.lower(), None) is not None  # else it only waits to be told of a cluster
        self.others = names  # as the operator wrote them, by folded name
        self._empty: dict[
            str, str
        ] = {}  # folded name -> member id of peers that are connected, without a cluster
        self._cluster_exists = False

    def met(self, hello: Introduction) -> None:
        """A peer was connected."""
        if hello.cluster_id is not None:
            self._cluster_exists = True
        else:
            self._empty[hello.name.lower()] = hello.member_id

    def lost(self, member_id: str) -> None:
        """A peer was disconnected: whoever comes back must say hello again."""
        self._empty = {name: member for name, member in self._empty.items() if member != member_id}

    @property
    def missing(self) -> list[str]:
        """Names of the peers that are waited for."""
        return sorted(peer for name, peer in self.others.items() if name not in self._empty)

    def genesis(self) -> bytes | None:
        """The genesis entry if this node is to make it now, else None."""
        own = self.name.lower()
        first = self.named and own == min([own, *self.others])
        if not first or self._cluster_exists or self.missing:
            return None
        ids = [self._empty[name] for name in self.others]
        return Members.genesis([self.member_id, *ids]).encode()


def refusal_without_cluster(own_name: str, peers: Iterable[str], hello: Introduction) -> str | None:
    """Why a node that has no cluster yet does not talk to a peer, None if it does.

    `peers`: the names of those with which it would make one; none if it only waits to be told of one.
    """
    names = list(peers)
    if names and not any(same_name(hello.name, name) for name in names):
        if hello.cluster_id is not None:  # It has others to turn to: this is no reason for it to end.
            return f"{own_name} is empty, and {hello.name} is not in its --peers: give it --join HOST:PORT instead"
        return (
            f"{NOT_ADMITTED}{hello.name} is not in the --peers of {own_name}; add it there, or correct --node"
        )
    if not names and hello.cluster_id is None:
        return f"neither {own_name} nor {hello.name} has a cluster yet: --join has to name a member of one"
    return None


def refusal(cluster_id: str, own_name: str, hello: Introduction) -> str | None:
    """Why a node of a cluster does not talk to a peer, None if it does. The text is for the peer's operator too."""
    if hello.cluster_id is not None and hello.cluster_id != cluster_id:
        return (
            f"{NOT_ADMITTED}{hello.name} has the data of cluster {hello.cluster_id}, but {own_name} is in cluster "
            f"{cluster_id}: one of the two has the wrong data directory, or a wrong --peers or --join. If one of these "
            "clusters was made by raftreg recover, keep its data, and give the node of the other an empty directory"
        )
    return None


def refusal_of_stranger(
    hello: Introduction, connected: Collection[str], known: Collection[str]
) -> str | None:
    """Why a node of a cluster lets in no peer of which no member set knows; the peer goes on trying. None if it does.

    `connected`: ids of those that are, and of the node itself; `known`: ids in the member sets.
    """
    others = [member for member in connected if member != hello.member_id]
    same = [member for member in others if same_name(name_of(member), hello.name)]
    if same:
        return (
            f"{same[0]} is connected and alive, and {hello.member_id} has its name: wait until that one is known to "
            "have ended, or choose another --node"
        )
    if sum(member not in known for member in others) >= STRANGERS_MAX:
        return f"{STRANGERS_MAX} nodes wait to be added to the cluster already: add or stop some of them"
    return None


def what_to_run(name: str, member_id: str, members: Collection[str]) -> str:
    """The command that makes a stranger a member beside these."""
    known = any(same_name(name_of(member), name) for member in members if member != member_id)
    return f"raftreg operator raft {'replace' if known else 'add'} {name}"
