"""Mends that concern elections, leases and the reads that rely on them."""

from collections.abc import Callable
from typing import Any

from raftreg.consensus import seams
from raftreg.consensus.boot import Bootstrap
from raftreg.consensus.disk_watch import DiskWatch
from raftreg.consensus.driver import Driver
from raftreg.consensus.election import Election
from raftreg.consensus.engine import Engine
from raftreg.consensus.guard import Guard
from raftreg.consensus.journal import Journal
from raftreg.consensus.members import Members
from raftreg.consensus.reads import Reads
from raftreg.sim.mutants.mutant import mutant
from raftreg.sim.patches import Patches


@mutant("reads-without-quorum", "partition")
def _reads_without_quorum(patches: Patches) -> None:
    """A leader answers reads without asking anybody."""

    def ask(reads: Reads, answer: Callable[[int | None], None], confirm: bool) -> None:
        answer(reads.engine.raftCommitIndex if reads.engine.leading else None)

    patches.put(Reads, "ask", ask)
    patches.put(Reads, "lease_holds", lambda reads: reads.engine.settled)


@mutant("reads-before-first-commit", "unsaid")
def _reads_before_first_commit(patches: Patches) -> None:
    """A new leader answers reads before it knows what was committed."""
    patches.put(Engine, "settled", property(lambda engine: engine.leading))


@mutant("lease-through-pause", "pause")
def _lease_through_pause(patches: Patches) -> None:
    """The lease is measured on a clock that stands still while the machine is suspended."""

    def lease_holds(reads: Reads) -> bool:
        engine = reads.engine
        if reads._lease_distrusted or not engine.settled:
            return False
        behind = (
            engine.now()
            - seams.monotonic()
            - reads.__dict__.setdefault("_ahead", engine.now() - seams.monotonic())
        )
        return bool(engine.now() - behind < reads._quorum_stamp() / 1e6 + engine.timing.lease_s * 0.8)

    patches.put(Reads, "lease_holds", lease_holds)


@mutant("lease-ignored", "deaf")
def _lease_ignored(patches: Patches) -> None:
    """Who loses the connection to the leader votes for another at once, while the leader trusts its lease."""
    original = Election.peer_down

    def peer_down(election: Election, member: str) -> None:
        original(election, member)
        if election.leader_lost:
            election.deadline = min(election.deadline, election.engine.now() + 0.001)

    def sticky(election: Election) -> bool:
        waited = election.engine.now() - election.leader_contact
        return not election.leader_lost and waited < election.engine.timing.election_min_s

    patches.put(Election, "peer_down", peer_down)
    patches.put(Election, "sticky", sticky)


@mutant("double-votes", "duplicates")
def _double_votes(patches: Patches) -> None:
    """A vote that arrives twice counts twice."""
    original = Guard._on_vote

    def on_vote(guard: Guard, node: Any, term: int) -> None:
        guard.votes.clear()
        original(guard, node, term)

    patches.put(Guard, "_on_vote", on_vote)


@mutant("no-stickiness", "flap")
def _no_stickiness(patches: Patches) -> None:
    """Members vote while their leader is fresh, so its lease says nothing."""
    patches.put(Election, "sticky", lambda election: False)
    patches.put(Election, "heard_leader", _heard_without_rest)


def _heard_without_rest(election: Election) -> None:
    election.leader_contact = election.engine.now()
    election.leader_lost = False


@mutant("lease-after-hand-over", "deaf")
def _lease_after_hand_over(patches: Patches) -> None:
    """A leader that hands over goes on trusting its lease, though the heir's votes ignore it."""
    patches.put(Reads, "distrust_lease", lambda reads: None)


@mutant("no-check-quorum", "deaf-leader")
def _no_check_quorum(patches: Patches) -> None:
    """A leader that hears nobody leads on."""
    original = seams.configuration

    def configuration(*journal: Any, **settings: Any) -> Any:
        return original(*journal, **{**settings, "quorum_timeout_s": 30.0})

    patches.put(seams, "configuration", configuration)


@mutant("hung-disk-leads-on", "hung")
def _hung_disk_leads_on(patches: Patches) -> None:
    """A leader whose disk hangs does not give the lead away."""
    patches.put(DiskWatch, "hangs", False)


@mutant("full-disk-leads-on", "full-disk")
def _full_disk_leads_on(patches: Patches) -> None:
    """A leader whose disk is full does not give the lead away."""
    patches.put(Driver, "_disk_filled", lambda driver, full: setattr(driver, "disk_full", full))


@mutant("promise-not-repeated", "started-within-lease")
def _promise_not_repeated(patches: Patches) -> None:
    """A process that starts votes at once, whatever lease an earlier one of its member has promised to a leader."""
    original = Election.__init__

    def init(election: Election, engine: Engine) -> None:
        original(election, engine)
        election.leader_contact = float("-inf")

    patches.put(Election, "__init__", init)


@mutant("no-pre-vote", "lasting")
def _no_pre_vote(patches: Patches) -> None:
    """Whoever hears no leader campaigns, without asking first whether that has a chance."""

    def count(election: Election) -> None:
        election.granted = None
        election.engine.start_election()
        election.engine.want_tick()

    patches.put(Election, "_count", count)


@mutant("vote-not-waited-for", "slower-than-elections")
def _vote_not_waited_for(patches: Patches) -> None:
    """Who waits for its own vote to be on disk campaigns again, in another term, where that vote is void."""
    patches.put(Election, "voted", lambda election: None)


@mutant("slow-disks-keep-quiet", "slower-than-heartbeats")
def _slow_disks_keep_quiet(patches: Patches) -> None:
    """Who is busy with its disk says nothing to its leader, which takes it for gone."""
    patches.put(DiskWatch, "is_slow", False)


@mutant("campaign-goes-on", "crossing")
def _campaign_goes_on(patches: Patches) -> None:
    """A pre-vote that was won counts although the leader was heard meanwhile."""

    def heard_leader(election: Election) -> None:
        election.leader_contact = election.engine.now()
        election.leader_lost = False
        election._tries = 0
        election._rest()

    patches.put(Election, "heard_leader", heard_leader)


@mutant("vote-in-memory", "power")
def _vote_in_memory(patches: Patches) -> None:
    """Term and vote are not written down."""

    def set_current_term(journal: Journal, term: int, vote: str | None) -> None:
        journal._term, journal._vote = term, vote

    patches.put(Journal, "setCurrentTerm", set_current_term)


@mutant("cluster-without-all", "bootstrap")
def _cluster_without_all(patches: Patches) -> None:
    """The genesis is made when a majority is there, so it may name another process than the one that comes later."""

    def genesis(bootstrap: Bootstrap) -> bytes | None:
        first = bootstrap.name == min([bootstrap.name, *bootstrap.others.values()])
        ids = sorted(bootstrap._empty.values())
        if not first or bootstrap._cluster_exists or 2 * len(ids) < len(bootstrap.others):
            return None
        return Members.genesis([bootstrap.member_id, *ids]).encode()

    patches.put(Bootstrap, "genesis", genesis)
