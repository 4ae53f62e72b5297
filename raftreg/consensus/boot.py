"""How a cluster comes to be, and who is let in: decisions over hellos, without IO.

A node without a cluster id does not run Raft. The least of the names in `--peers` makes the genesis, and only
while every named peer is connected and said that it has no cluster either; the genesis names the ids that it
saw. So two wiped nodes of three cannot make a second cluster, because the third is not empty. Everybody else is
told the genesis and stores it.
"""

from collections.abc import Iterable
from typing import Protocol

from raftreg.consensus.members import Members, name_of

NOT_ADMITTED = "not admitted: "
"""Begins every refusal that the refused node cannot outwait: it must be mended by an operator."""

FORGETFUL = NOT_ADMITTED + "forgetful: "
"""Begins those that one peer's word is enough for: the refused process runs on a copy of a data directory."""


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
        self.others = frozenset(peers) - {name}
        self._empty: dict[str, str] = {}  # name -> member id of peers that are connected and have no cluster
        self._cluster_exists = False

    def met(self, hello: Introduction) -> None:
        """A peer was connected."""
        if hello.cluster_id is not None:
            self._cluster_exists = True
        else:
            self._empty[hello.name] = hello.member_id

    def lost(self, member_id: str) -> None:
        """A peer was disconnected: whoever comes back must say hello again."""
        self._empty = {name: member for name, member in self._empty.items() if member != member_id}

    @property
    def missing(self) -> list[str]:
        """Names of the peers that are waited for."""
        return sorted(self.others - set(self._empty))

    def genesis(self) -> bytes | None:
        """The genesis entry if this node is to make it now, else None."""
        first = self.name == min(self.others | {self.name})
        if not first or self._cluster_exists or self.missing:
            return None
        ids = [self._empty[name] for name in self.others]
        return Members.genesis([self.member_id, *ids]).encode()


def refusal_without_cluster(own_name: str, peers: Iterable[str], hello: Introduction) -> str | None:
    """Why a node that has no cluster yet does not talk to a peer, None if it does."""
    if hello.name not in peers:
        return (
            f"{NOT_ADMITTED}{hello.name} is not in the --peers of {own_name}; add it there, or correct --node"
        )
    return None


def refusal(members: Members, own_name: str, hello: Introduction) -> str | None:
    """Why a member does not talk to a peer, None if it does. The text is for the peer's operator too."""
    if hello.cluster_id is not None and hello.cluster_id != members.cluster_id:
        return (
            f"{NOT_ADMITTED}{hello.name} has the data of cluster {hello.cluster_id}, but {own_name} is in cluster "
            f"{members.cluster_id}; give {hello.name} the right data directory, or correct --peers"
        )
    if hello.member_id in members.all:
        return None
    known = sorted(member for member in members.all if name_of(member) == hello.name)
    if known:
        return (
            f"{NOT_ADMITTED}the data directory of {hello.name} is not the one that the cluster knows "
            f"({hello.member_id}, known is {known[0]}); a member that lost its data may not come back under its old "
            f"name by itself, since it could break its promises: bring back its own data directory"
        )
    names = ", ".join(sorted(map(name_of, members.all)))
    return f"{NOT_ADMITTED}{hello.name} is not a member of cluster {members.cluster_id} (members: {names})"
