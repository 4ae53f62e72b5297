"""Who belongs to the cluster: the CONFIG entry, a whole member set in one log entry.

A member is `name.incarnation`: the operator's name, and 128 random bits made with the data directory. A wiped
directory is thus a new member, never the old one without its memory. Ids are never reused.

The set in use is a pure function of snapshot and log (see `journal`): the latest CONFIG entry appended,
committed or not (Ongaro 2014, section 4.1). Learners receive the log and count for nothing.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import msgpack

REGULAR = b"\x00"  # pysyncobj's type byte of an entry that is applied
NO_OP = b"\x01"  # pysyncobj's type byte of the entry that a new leader begins with
APP = REGULAR + b"\x00"  # prefix of an entry for the state machine
CONFIG = REGULAR + b"\x01"  # prefix of an entry that holds the member set
_VERSION = 1


def name_of(member_id: str) -> str:
    """The operator's name in `name.incarnation`."""
    return member_id.rpartition(".")[0] or member_id


@dataclass(frozen=True, slots=True)
class Members:
    """A member set. `addresses` are hints (member id -> host:port) for nodes that lack a local address for it."""

    cluster_id: str
    voters: frozenset[str]
    learners: frozenset[str] = frozenset()
    addresses: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.voters or self.voters & self.learners:
            raise ValueError("a member set needs voters, and nobody may be voter and learner at once")

    @property
    def all(self) -> frozenset[str]:
        """Voters and learners."""
        return self.voters | self.learners

    def majority(self, ids: Iterable[str]) -> bool:
        """Whether the voters among `ids` are more than half of all voters."""
        return 2 * len(self.voters.intersection(ids)) > len(self.voters)

    def encode(self) -> bytes:
        """The log entry; equal sets give equal bytes."""
        body = [_VERSION, self.cluster_id, sorted(self.voters), sorted(self.learners), sorted(self.addresses)]
        return CONFIG + bytes(msgpack.packb(body))

    @classmethod
    def decode(cls, entry: bytes) -> "Members | None":
        """The set in a log entry, None if it is an entry of another kind. Raises ValueError if it is malformed."""
        if entry[:2] != CONFIG:
            return None
        try:
            version, cluster_id, voters, learners, addresses = msgpack.unpackb(entry[2:])
            pairs = tuple((str(member), str(address)) for member, address in addresses)
            members = cls(str(cluster_id), frozenset(voters), frozenset(learners), pairs)
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise ValueError(f"malformed member set: {error}") from error
        if version != _VERSION:
            raise ValueError(f"member set of format {version}; this program knows format {_VERSION}")
        return members

    @classmethod
    def genesis(cls, voters: Iterable[str]) -> "Members":
        """The first set of a new cluster; its id follows from the incarnations, which are random."""
        ids = sorted(voters)
        return cls(hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16], frozenset(ids))
