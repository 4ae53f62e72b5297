"""Consensus: one log of opaque bytes, agreed on by a majority and applied in the same order on every node.

What is guaranteed
    * An entry whose `propose` returned is on disk (fdatasync) at a majority of the voters and was applied here.
    * Every node applies the same entries in the same order, each once.
    * An index returned by `read_index` covers every entry whose `propose` had returned, anywhere, before it was
      called. With `confirm` that holds on any clock; without, while clocks drift by less than the lease's margin.
What is not
    * Exactly-once: a proposer that saw `OutcomeUnknown` may propose again, and both may be applied. The state
      machine drops the second by its request id (`raftreg.state`).
    * Meaning: this package never looks into the bytes.

One data flow: propose -> journal -> peers -> quorum -> StateMachine.apply -> the proposer's future.
Spec: Ongaro, "Consensus: Bridging Theory and Practice" (2014), chapters 3 to 6, with pre-vote (9.6), read index and
lease (6.4), leadership transfer (3.10), one-at-a-time membership (4.1 to 4.4).
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["leader", "follower", "candidate", "starting"]
ChangeKind = Literal["add", "promote", "remove", "replace"]


@dataclass(frozen=True, slots=True)
class MemberChange:
    """One step from a member set to the next. Ids are name.incarnation, never names."""

    kind: ChangeKind
    member: str  # who comes (as a learner), becomes a voter, or goes
    old: str = ""  # replace: who goes; `member` comes in its place, as a learner
    standby: bool = False  # add, replace: a learner that is meant to stay one


class StateMachine(Protocol):
    """What is replicated. Called from the event loop only."""

    def apply(self, index: int, data: bytes) -> object:
        """Apply one entry. Total and deterministic: an exception here is a bug and stops the process.

        But NewerFormat, with nothing changed, for an entry of a newer release: nothing is applied from there on.
        """
        ...

    def level(self) -> int:
        """The feature level that the entries applied so far have raised the cluster to (`raftreg.versions`)."""
        ...

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        """A cheap copy of the state, as a function that encodes it in small pieces; they are made in another thread."""
        ...

    def effort(self) -> int:
        """How many commands were carried out to come to this state: what it takes to apply a log again. Never falls."""
        ...

    def load(self, data: bytes) -> None:
        """Replace the whole state by what `freeze()()` gave somewhere, some time, its pieces joined."""
        ...


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One member as this node sees it."""

    id: str  # name.incarnation
    name: str
    address: str  # host:port by which this node reaches it
    voter: bool
    connected: bool
    last_contact_s: float | None  # seconds since it was last heard, None if never
    match_index: int | None = None  # newest entry that it is known to have; None unless this node leads
    # Whether its last round of catching up took less than an election timeout; None unless this node leads.
    caught_up: bool | None = None
    standby: bool = False  # a learner that is meant to stay one
    levels: tuple[int, int] | None = None  # the feature levels that it knows; None while it is not connected


@dataclass(frozen=True, slots=True)
class StrangerStatus:
    """A connected process of this cluster, or one that has just taken over its genesis, that is no member."""

    id: str  # name.incarnation
    name: str
    address: str  # host:port by which this node reaches it, "" if unknown
    connected_s: float


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot of this node's view of the cluster. Raft indexes, not user-visible ones."""

    id: str
    name: str
    role: Role
    term: int
    leader_id: str | None
    leader_name: str | None
    leader_address: str | None  # raft host:port by which this node reaches the leader
    commit_index: int
    applied_index: int
    last_index: int
    durable_index: int
    snapshot_index: int
    cluster_id: str
    leader_contact_s: float  # seconds since the leader was last heard; 0.0 on the leader itself
    peers: tuple[PeerStatus, ...]  # all members, this node included, sorted by name
    members_index: int = 1  # Raft index of the member set in use
    members_committed: bool = True  # whether that set is known to be committed
    removed: bool = False  # a committed member set newer than this node's own is without this node
    strangers: tuple[StrangerStatus, ...] = ()
    former: frozenset[str] = (
        frozenset()
    )  # names of those who were members by the log above the snapshot, and are none
    level: int = 1  # the feature level of the cluster, as far as this node has applied its log
    too_old: str = ""  # what a newer release wrote or said that this node cannot read, and what to do


class Consensus(Protocol):
    """One node of a replicated log. All methods belong to the event loop's thread."""

    async def start(self) -> None:
        """Recover from disk, listen, and take part. Raises StartRefused for what an operator must mend."""
        ...

    async def stop(self) -> None:
        """Hand leadership over if there is a heir, finish what is in flight, close everything."""
        ...

    async def propose(self, data: bytes) -> tuple[int, object]:
        """Append one entry (leader only), wait until it is committed and applied here.

        Returns (raft index, what apply returned). Raises NotLeader or Overloaded (nothing was appended) or
        OutcomeUnknown (leadership was lost meanwhile). Has no timeout of its own: callers bound it.
        """
        ...

    def read_index_now(self) -> int | None:
        """The read index if this node leads, holds its lease and has applied all that it committed, else None."""
        ...

    async def read_index(self, *, confirm: bool = False) -> int:
        """A raft index; a read of local state that has applied it is linearizable. On any node.

        With `confirm` the leader makes sure by a round of heartbeats, even while its lease holds. Raises NoLeader
        when no leader answers within the election timeouts; callers retry and bound it.
        """
        ...

    async def wait_applied(self, index: int) -> None:
        """Return once this node has applied raft index `index`. No timeout of its own."""
        ...

    async def call_leader(self, data: bytes) -> bytes:
        """Send opaque bytes to the handler that the leader set with `serve_calls` (also when this node leads).

        Raises NoLeader (nothing was sent, or the leader said that it does not lead) or OutcomeUnknown (the
        connection broke after it was sent).
        """
        ...

    def serve_calls(self, handler: Callable[[str, bytes], Awaitable[bytes]]) -> None:
        """Set the handler of `call_leader`: (caller's node name, data) -> answer.

        It runs on the leader only. It may raise NotLeader (the caller gets NoLeader) or any other error of
        raftreg.errors but Fatal (the caller gets it as the same class with the same text).
        """
        ...

    async def change_members(self, change: MemberChange) -> int:
        """Change the member set by one step (leader only). Returns the raft index of the committed entry.

        Raises Refused (409) if a rule forbids it, with what to do; HandingOver if this leader has to go and began to
        give the lead away: ask the next leader again; NotLeader; in each case nothing was done. OutcomeUnknown if
        leadership was lost: read the members, then decide. Has no timeout of its own.
        """
        ...

    async def transfer_leadership(self, to: str | None = None) -> str:
        """Hand leadership over (leader only), to the most advanced voter or to a named one, and wait until it leads.

        Returns the id of the new leader. Raises Refused (409) if there is no heir or it did not take over in time,
        NotLeader.
        """
        ...

    def join(self, address: tuple[str, int]) -> None:
        """Dial (host, port) too, to be let into the cluster of whoever answers there. For a node without a cluster."""
        ...

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back (without arguments) after the role or the leader changed. Must not raise."""
        ...

    def has_leader(self) -> bool:
        """Whether `status` names a leader, at a small part of its cost."""
        ...

    def is_removed(self) -> bool:
        """Whether `status` says removed, at a small part of its cost."""
        ...

    def status(self) -> Status:
        """This node's view, now."""
        ...
