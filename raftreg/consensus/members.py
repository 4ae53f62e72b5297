"""Who belongs to the cluster: the CONFIG entry, a whole member set in one log entry.

A member is `name.incarnation`: the operator's name, and 128 random bits made with the data directory. A wiped
directory is thus a new member, never the old one without its memory. Ids are never reused.

The set in use is a pure function of snapshot and log (see `journal`): the latest CONFIG entry appended,
committed or not (Ongaro 2014, section 4.1). Learners receive the log and count for nothing.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgpack

from raftreg.consensus import MemberChange
from raftreg.errors import NewerFormat, Refused

REGULAR = b"\x00"  # pysyncobj's type byte of an entry that is applied
NO_OP = b"\x01"  # pysyncobj's type byte of the entry that a new leader begins with
APP = REGULAR + b"\x00"  # prefix of an entry for the state machine
CONFIG = REGULAR + b"\x01"  # prefix of an entry that holds the member set
_PLAIN, _WITH_STANDBYS = 1, 2  # formats; the first is written whenever it can say what there is
_CONFLICT = 409


def name_of(member_id: str) -> str:
    """The operator's name in `name.incarnation`."""
    return member_id.rpartition(".")[0] or member_id


def same_name(one: str, other: str) -> bool:
    """Whether two names are one: they are compared without regard to case."""
    return one.lower() == other.lower()


def goes_by(which: str, member_id: str, name: str, address: str) -> bool:
    """Whether an operator may call a node that: by its id, its UUID, its Raft address, or in any case its name."""
    incarnation = member_id.rpartition(".")[2]
    return (
        which in (member_id, address)
        or same_name(which, name)
        or which.replace("-", "").lower() == incarnation
    )


@dataclass(frozen=True, slots=True)
class Members:
    """A member set. `addresses` are hints (member id -> host:port) for nodes that lack a local address for it.

    `standbys` are the learners that are meant to stay learners; consensus itself makes no difference.
    """

    cluster_id: str
    voters: frozenset[str]
    learners: frozenset[str] = frozenset()
    addresses: tuple[tuple[str, str], ...] = ()
    standbys: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.voters or self.voters & self.learners:
            raise ValueError("a member set needs voters, and nobody may be voter and learner at once")
        if not self.standbys <= self.learners:
            raise ValueError("a standby has to be a learner")

    @property
    def all(self) -> frozenset[str]:
        """Voters and learners."""
        return self.voters | self.learners if self.learners else self.voters

    def majority(self, ids: Iterable[str]) -> bool:
        """Whether the voters among `ids` are more than half of all voters."""
        return 2 * len(self.voters.intersection(ids)) > len(self.voters)

    def encode(self) -> bytes:
        """The log entry; equal sets give equal bytes."""
        sets = [sorted(self.voters), sorted(self.learners), sorted(self.addresses)]
        if self.standbys:
            body = [_WITH_STANDBYS, self.cluster_id, *sets, sorted(self.standbys)]
        else:
            body = [_PLAIN, self.cluster_id, *sets]
        return CONFIG + bytes(msgpack.packb(body))

    @classmethod
    def decode(cls, entry: bytes) -> "Members | None":
        """The set in a log entry, None if it is an entry of another kind.

        Raises ValueError if it is malformed, NewerFormat if a newer release wrote it.
        """
        if entry[:2] != CONFIG:
            return None
        try:
            version, *body = msgpack.unpackb(entry[2:])
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise ValueError(f"malformed member set: {error}") from error
        if type(version) is not int or version < _PLAIN:
            raise ValueError("malformed member set: no format version")
        if version > _WITH_STANDBYS:
            raise NewerFormat(
                f"a member set of format {version}; this release knows formats {_PLAIN} and {_WITH_STANDBYS}"
            )
        try:
            cluster_id, voters, learners, addresses, *more = body
            (standbys,) = more if version == _WITH_STANDBYS else ([], *more)
            pairs = tuple((str(member), str(address)) for member, address in addresses)
            return cls(str(cluster_id), frozenset(voters), frozenset(learners), pairs, frozenset(standbys))
        except (ValueError, TypeError) as error:
            raise ValueError(f"malformed member set: {error}") from error

    @classmethod
    def genesis(cls, voters: Iterable[str]) -> "Members":
        """The first set of a new cluster; its id follows from the incarnations, which are random."""
        ids = sorted(voters)
        return cls(hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16], frozenset(ids))

    def step(self, change: MemberChange) -> "Members":
        """The set after one change: the only ones there are. At most one voter comes or goes.

        Raises Refused with the reason for an operator.
        """
        member, old, kind = change.member, change.old, change.kind
        if kind == "promote":
            return self._promoted(member)
        if change.standby and kind == "remove":
            raise Refused(_CONFLICT, "who is removed cannot be a standby")
        goes = {"add": "", "remove": member, "replace": old}[kind]
        comes = member if kind != "remove" else ""
        if comes and comes in self.all:
            raise Refused(_CONFLICT, f"{comes} is a member already")
        if kind != "add" and goes not in self.all:
            raise Refused(_CONFLICT, f"{goes or 'nobody'} is no member, so it cannot go")
        if self.voters == {goes}:
            raise Refused(_CONFLICT, f"{goes} is the last voter: add another node and promote it first")
        gone, came = frozenset({goes}), frozenset({comes} - {""})
        return replace(
            self,
            voters=self.voters - gone,
            learners=self.learners - gone | came,
            standbys=self.standbys - gone | (came if change.standby else frozenset()),
            addresses=tuple(pair for pair in self.addresses if pair[0] != goes),
        )

    def _promoted(self, member: str) -> "Members":
        if member in self.voters:
            raise Refused(_CONFLICT, f"{member} is a voter already")
        if member not in self.learners:
            raise Refused(_CONFLICT, f"{member} is no member: add it first, as a learner")
        one = {member}
        return replace(
            self, voters=self.voters | one, learners=self.learners - one, standbys=self.standbys - one
        )

    def with_addresses(self, known: Mapping[str, str]) -> "Members":
        """The same set with the newest address of each member that is known; hints of others are kept."""
        hints = {member: address for member, address in self.addresses if member in self.all}
        hints.update((member, address) for member, address in known.items() if member in self.all and address)
        return replace(self, addresses=tuple(sorted(hints.items())))
