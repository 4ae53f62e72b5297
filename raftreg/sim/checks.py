"""What must hold at every moment of a run. A violation ends the run."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from raftreg.checkers.history import Change
from raftreg.consensus.engine import Engine
from raftreg.consensus.journal import Journal
from raftreg.consensus.members import Members, name_of
from raftreg.errors import RaftregError
from raftreg.model import KVEntry
from raftreg.registry import EVERYTHING
from raftreg.state import Topic

if TYPE_CHECKING:
    from raftreg.sim.cluster import Cluster
    from raftreg.sim.probe import WatchedReplica

DIGEST_EVERY = 64  # entries
CAMPAIGN_S = 0.6  # times the profile's timing: so old may the answers be that a campaign follows from
WATCHED_KEYS = ("r0", "r1")


class Violation(RaftregError):
    """A promise was broken. `rule` names it."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule


class Checks:
    """The memory of one run."""

    def __init__(self, cluster: "Cluster", rules: frozenset[str] | None = None) -> None:
        """`rules`: the only ones that count, None for all."""
        self.cluster, self.rules = cluster, rules
        self.entries: dict[int, bytes] = {}  # index -> data, as first applied anywhere
        self.leaders: dict[int, Engine] = {}
        self.digests: dict[int, tuple[str, str]] = {}  # index -> (who, digest)
        self.committed: list[tuple[int, int, int]] = []  # (term of the commit, index, term of the entry)
        self.acked_index = 0  # newest user-visible index that any client was told of a write
        self.changes: list[Change] = []
        self.held: set[str] = (
            set()
        )  # sessions that were told that they have the lock, and did not let go of it
        self._newest: dict[tuple[str, str], int] = {}
        self.committed_at_s = 0.0  # when a new entry was first applied somewhere
        self.elected_at_s = 0.0
        self.newest = 0  # raft index of the last of them
        self.elections = self.loads = self.sums = 0

    def violated(self, rule: str, text: str) -> None:
        """End the run, whatever the product makes of the exception; nothing, if this rule does not count here."""
        wanted = rule not in self.cluster.profile.without if self.rules is None else rule in self.rules
        if wanted:
            violation = Violation(rule, text)
            self.cluster.loop.fail(violation)
            raise violation

    # -- state machines ------------------------------------------------------------------------------------------------
    def applied(self, replica: "WatchedReplica", index: int, data: bytes, before: int) -> None:
        """A node applied an entry."""
        name, state = replica.host.name, replica.state
        known = self.entries.get(index)
        if known is None:
            self.entries[index] = data
            self.committed_at_s, self.newest = self.cluster.loop.now, max(self.newest, index)
            self._note_commit(replica, index)
        elif known != data:
            self.violated("state-machine safety", f"{name} applies another entry {index} than others did")
        if state.index <= before:
            self.violated("indexes", f"{name} went from {before} to {state.index}")
        if index % DIGEST_EVERY == 0:
            self.compare_digest(replica, index)

    def compare_digest(self, replica: "WatchedReplica", index: int) -> None:
        """States that applied the same entries are equal."""
        self.sums += 1
        name, digest = replica.host.name, replica.state.digest()
        who, known = self.digests.setdefault(index, (name, digest))
        if known != digest:
            self.violated("digests", f"{name} and {who} differ after entry {index}")

    def _note_commit(self, replica: "WatchedReplica", index: int) -> None:
        driver = replica.node.driver if replica.node is not None else None
        if driver is not None:
            self.note_commit(driver.engine, index)

    def note_commit(self, engine: Engine, index: int) -> None:
        """A node is the first to apply an entry, or a member set."""
        term = engine.journal.term_at(index)
        if term is not None:
            self.committed.append((engine.raftCurrentTerm, index, term))
            if self.cluster.profile.membership is None:
                self.check_durable(engine.members, index, term)

    def truncates(self, journal: Journal, index: int) -> None:
        """A node drops its log from an index on. What is committed is never among that."""
        for _, committed, term in reversed(self.committed):
            if committed < index:
                return
            if journal.term_at(committed) == term:
                self.violated(
                    "truncation", f"entry {committed} of term {term}, committed, is dropped from {index} on"
                )

    def check_durable(self, members: Members, index: int, term: int) -> None:
        """What is committed is on the disks of a majority. A host that is down has what was durable at its end."""
        holders = [voter for voter in sorted(members.voters) if self._holds(voter, index, term)]
        if not members.majority(holders):
            who = ", ".join(map(name_of, holders)) or "nobody"
            text = f"entry {index} of term {term} is committed, but on the disks of {who} only"
            self.violated("commit durability", text)

    def _holds(self, member: str, index: int, term: int) -> bool:
        journal = self.cluster.journal_of(member)
        if journal is None or not journal.entries:
            return False
        covered = journal.first > index  # by a snapshot
        return covered or (journal.term_at(index) == term and journal.durable >= index)

    def loaded(self, replica: "WatchedReplica", before: int) -> None:
        """A node loaded a snapshot, at its start or from the leader."""
        self.loads += 1
        if replica.state.index < before:
            self.violated(
                "indexes", f"{replica.host.name}: a snapshot took it from {before} to {replica.state.index}"
            )

    def holds(self, session: str) -> None:
        """A session was told that it has the lock."""
        if self.held:
            self.violated("mutual exclusion", f"{session} has the lock beside {', '.join(sorted(self.held))}")
        self.held.add(session)

    def changed(self, replica: "WatchedReplica", topics: Sequence[Topic]) -> None:
        """For the checker of blocking queries: when a watched key changed on a node."""
        everything = EVERYTHING in topics
        for key in WATCHED_KEYS:
            if not everything and ("kv", key) not in topics:
                continue
            entry: KVEntry | None = replica.state.kv.get(key)
            life = f"{replica.host.name}/{replica.life.number}"
            if entry is not None and self._newest.get((life, key)) != entry.modify_index:
                self._newest[life, key] = entry.modify_index
                now = self.cluster.loop.now
                self.changes.append(Change(life, key, entry.modify_index, entry.value, now))

    # -- elections -----------------------------------------------------------------------------------------------------
    def elected(self, engine: Engine) -> None:
        """A node becomes leader."""
        self.elections += 1
        self.elected_at_s = self.cluster.loop.now
        term, name = int(engine.raftCurrentTerm), name_of(engine.member_id)
        self.cluster.log(name, f"leads term {term}")
        known = self.leaders.setdefault(term, engine)
        if known is not engine:
            self.violated(
                "election safety", f"{name_of(known.member_id)} and {name} (of now) both lead term {term}"
            )
        self.cluster.elected(name)
        self._check_complete(engine, term, name)
        self.check_logs()

    def campaigns(self, engine: Engine) -> None:
        """A node asks for votes: only when a majority can have told it, in a pre-vote, that it would get theirs."""
        if engine.guard.forced:
            return  # The leader gave the lead to it, and no pre-vote told whether that has a chance.
        name, network, voters = name_of(engine.member_id), self.cluster.network, engine.members.voters
        reached = network.within_reach(name, CAMPAIGN_S * self.cluster.profile.timing)
        reach = sum(name_of(voter) in reached for voter in voters)
        if not 2 * reach > len(voters):
            self.violated("needless campaign", f"{name} raises its term, though it reaches only {reach}")

    def _check_complete(self, engine: Engine, term: int, name: str) -> None:
        """A leader has all that was committed in earlier terms. A late vote may elect one of an old term: harmless."""
        for commit_term, index, entry_term in reversed(self.committed):
            if commit_term >= term:
                continue
            journal = engine.journal
            if index >= journal.first and journal.term_at(index) != entry_term:
                found = journal.term_at(index)
                text = (
                    f"{name}, leader of term {term}, has term {found} at {index}; {entry_term} was committed"
                )
                self.violated("leader completeness", text)
            if index < journal.first:
                return
            break

    def check_logs(self) -> None:
        """Equal index and term anywhere: equal logs up to there."""
        logs = [
            (host.name, host.engine.journal)
            for host in self.cluster.hosts.values()
            if host.up and host.engine is not None
        ]
        for (one, first), (other, second) in combinations(logs, 2):
            at = differ_at(first, second)
            if at is not None:
                text = f"{one} and {other} differ at {at}, though they agree later"
                self.violated("log matching", text)


def differ_at(first: Journal, second: Journal) -> int | None:
    """The index of the first difference below a place where two logs have the same term."""
    begin, end = max(first.first, second.first), min(first.last, second.last)
    while end >= begin and first.term_at(end) != second.term_at(end):
        end -= 1
    if end < begin:
        return None
    mine = first.entries[begin - first.first : end + 1 - first.first]
    yours = second.entries[begin - second.first : end + 1 - second.first]
    if mine == yours:
        return None
    return next((entry[1] for entry, twin in zip(mine, yours, strict=True) if entry != twin), None)
