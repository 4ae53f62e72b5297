"""What must hold where members come and go. Looked at by hooks on the engines of all hosts, and now and then."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from raftreg.consensus.engine import Engine
from raftreg.consensus.journal import Journal, Placed
from raftreg.consensus.members import CONFIG, Members, name_of
from raftreg.sim.patches import Patches

if TYPE_CHECKING:
    from raftreg.sim.cluster import Cluster

LOOK_S = 0.5
MEMBERS_WEIGHT = 12  # so much more often than others is a member asked by clients
_LEADER = 2  # pysyncobj's number for the role


class MemberChecks:
    """The member sets of one run. `committed`: raft index -> (set, term in which it was first seen committed)."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        self.committed: dict[int, tuple[Members, int]] = {}
        self.moved_at_s = 0.0  # when a set in use last changed anywhere, or was committed
        self._durable_to = 0  # what was looked for on the disks
        if cluster.profile.membership is not None:
            cluster.loop.at(LOOK_S, cluster.loop.world, self._look)

    # -- view ----------------------------------------------------------------------------------------------------------
    @property
    def newest_index(self) -> int:
        """Raft index of the newest set that is committed, 0 if there is none."""
        return max(self.committed, default=0)

    @property
    def newest(self) -> Members | None:
        """The newest set that is committed."""
        return self.committed[self.newest_index][0] if self.committed else None

    def live(self) -> list[Members]:
        """Every set that is current, or may become so: those above the newest committed one, on whatever disk."""
        newest = self.newest_index
        sets = [self.committed[newest][0]] if newest else []
        for member in self.cluster.places:
            journal = self.cluster.journal_of(member)
            if journal is not None:
                sets += [placed.members for placed in _placed(journal) if placed.index > newest]
        return sets

    # -- hooks ---------------------------------------------------------------------------------------------------------
    def uses(self, engine: Engine) -> None:
        """The set in use of a node changed, or it just began."""
        self.moved_at_s = self.cluster.loop.now
        placed = engine.journal.placed
        if not self.committed and placed.index == 1:
            self.committed[1] = (placed.members, placed.term)
        known = self.newest
        if known is not None and known.cluster_id != placed.members.cluster_id:
            mine, name = placed.members.cluster_id, name_of(engine.member_id)
            text = f"{name} is in cluster {mine}, others are in {known.cluster_id}"
            self.cluster.checks.violated("one cluster", text)

    def applied(self, engine: Engine, index: int, members: Members) -> None:
        """A member set is committed, as this node sees it."""
        checks = self.cluster.checks
        known = self.committed.get(index)
        if known is not None:
            if known[0] != members:
                checks.violated("state-machine safety", f"two member sets are committed at {index}")
            return
        before = self.committed.get(max((at for at in self.committed if at < index), default=0))
        self.committed[index] = (members, int(engine.raftCurrentTerm))
        self.moved_at_s = checks.committed_at_s = self.cluster.loop.now
        checks.newest = max(checks.newest, index)
        checks.note_commit(engine, index)
        if before is not None and len(before[0].voters ^ members.voters) > 1:
            text = f"{shown(members)} at {index} follow {shown(before[0])}"
            checks.violated("one at a time", text)
        self.cluster.log(name_of(engine.member_id), f"has members committed at {index}: {shown(members)}")
        inside = {name_of(member) for member in members.all}
        self.cluster.doors = sorted(inside) * MEMBERS_WEIGHT + self.cluster.names

    def ticked(self, engine: Engine, before: int) -> None:
        """The commit index of a node may have moved."""
        index, checks = int(engine.raftCommitIndex), self.cluster.checks
        if index <= max(before, self._durable_to) or not engine.leading:
            return
        self._durable_to = index
        term = engine.journal.term_at(index)
        if term is not None:
            checks.check_durable(engine.members, index, term)
        newest = self.newest
        # With this very commit a later set may be committed, which is told when it is applied.
        later = engine.journal.placed_at(index).index > self.newest_index
        if newest is not None and not later and engine.member_id not in newest.voters:
            text = f"{name_of(engine.member_id)} commits {index}, but the voters are {shown(newest)}"
            checks.violated("removed node commits", text)

    def elected(self, engine: Engine) -> None:
        """A node becomes leader: by a majority of its own set, which overlaps with what was committed before."""
        term, placed = int(engine.raftCurrentTerm), engine.journal.placed
        name, members = name_of(engine.member_id), placed.members
        votes = {voter for cast, voter in engine.guard.votes if cast == term} | {engine.member_id}
        if engine.member_id not in members.voters or not members.majority(votes):
            text = f"{name} leads term {term} by {sorted(map(name_of, votes))} of {shown(members)}"
            self.cluster.checks.violated("elected by a majority", text)
        # A late vote may elect the leader of an old term, who does not know what was committed in a later one.
        index = max((at for at, (_, its) in self.committed.items() if its < term), default=0)
        if index and (placed.index < index or len(members.voters ^ self.committed[index][0].voters) > 1):
            text = (
                f"{name} leads term {term} with {shown(members)} of {placed.index}; committed are "
                f"{shown(self.committed[index][0])} at {index}"
            )
            self.cluster.checks.violated("overlapping majorities", text)
        self.check_sets()

    # -- now and then --------------------------------------------------------------------------------------------------
    def _look(self) -> None:
        self.check_sets()
        self.cluster.loop.at(self.cluster.loop.now + LOOK_S, self.cluster.loop.world, self._look)

    def check_sets(self) -> None:
        """The set in use is what snapshot and log say, and below the commit index what was committed."""
        for host in self.cluster.hosts.values():
            engine = host.engine if host.up else None
            if engine is None:
                continue
            said = _said_by_log(engine.journal)
            if said is not None and (said != engine.members or said != engine.journal.placed.members):
                text = f"{host.name} goes by {shown(engine.members)}, its log says {shown(said)}"
                self.cluster.checks.violated("set of the log", text)
            applied = int(engine.raftLastApplied)
            index = max((at for at in self.committed if at <= applied), default=0)
            committed = engine.journal.placed_at(applied).members
            if index and self.committed[index][0] != committed:
                text = (
                    f"{host.name} applied {applied} and holds {shown(committed)} for committed; "
                    f"it is {shown(self.committed[index][0])} of {index}"
                )
                self.cluster.checks.violated("set of the log", text)


def _placed(journal: Journal) -> list[Placed]:
    return [*journal._placed, *([journal.base] if journal.base is not None else [])]


def _said_by_log(journal: Journal) -> Members | None:
    """The newest set in the log, else that of the snapshot; None where there is neither."""
    floor = journal.base.index if journal.base is not None else 0
    for data, index, _ in reversed(journal.entries):
        if data[:2] == CONFIG and index > floor:
            return Members.decode(data)
    return journal.base.members if journal.base is not None else None


def shown(members: Members) -> str:
    """For people: names, with the beginning of the incarnation."""
    learners = f" (learners {', '.join(map(_short, sorted(members.learners)))})" if members.learners else ""
    return ", ".join(map(_short, sorted(members.voters))) + learners


def _short(member: str) -> str:
    return f"{name_of(member)}.{member.rpartition('.')[2][:3]}"


@contextmanager
def watching_members(checks: MemberChecks) -> Iterator[None]:
    """Within: what engines do with member sets is told to the checks."""
    role_changed: Any = Engine._role_changed
    use_members: Any = Engine._use_members
    tick: Any = Engine.tick
    apply: Any = Engine._SyncObj__doApplyCommand  # pysyncobj's name

    def watched_role(engine: Engine, old: int, new: int) -> None:
        role_changed(engine, old, new)
        if new == _LEADER:
            checks.elected(engine)

    def watched_use(engine: Engine) -> None:
        use_members(engine)
        checks.uses(engine)

    def watched_tick(engine: Engine) -> None:
        before = int(engine.raftCommitIndex)
        tick(engine)
        checks.ticked(engine, before)

    def watched_apply(engine: Engine, command: bytes) -> None:
        if command[:2] == CONFIG:
            members = Members.decode(command)
            assert members is not None
            checks.applied(engine, engine.raftLastApplied + 1, members)
        apply(engine, command)

    patches = Patches()
    patches.put(Engine, "_role_changed", watched_role)
    patches.put(Engine, "_use_members", watched_use)
    patches.put(Engine, "tick", watched_tick)
    patches.put(Engine, "_SyncObj__doApplyCommand", watched_apply)
    with patches:
        yield
