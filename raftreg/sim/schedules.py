"""Known ways to go wrong, most of them with members, each as a schedule that must do no harm; a mutant is without what
forbids it.

Random faults hardly ever find these: they need a certain order of events within milliseconds, or they cost liveness
only for as long as an operator who looks at the members needs to put them right.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from raftreg.consensus.members import name_of
from raftreg.sim.checks import Violation
from raftreg.sim.profiles import Profile
from raftreg.sim.run import Outcome
from raftreg.sim.script import PACKET_S, PROFILE, VOTE_ASK, Script, directed


@dataclass(frozen=True, slots=True)
class Schedule:
    """A script and the cluster that it is for."""

    name: str
    what: str
    profile: Profile
    steps: Callable[[Script], None]


SCHEDULES: dict[str, Schedule] = {}


def schedule(
    name: str, hosts: int, founders: int, **changes: float
) -> Callable[[Callable[[Script], None]], Callable[[Script], None]]:
    """Put a script into the table; its docstring says what it shows. `changes`: of the profile of scripts."""

    def register(steps: Callable[[Script], None]) -> Callable[[Script], None]:
        what = (steps.__doc__ or "").rstrip(".")
        profile = replace(PROFILE, hosts=hosts, founders=founders, **changes)  # type: ignore[arg-type]  # named fields
        SCHEDULES[name] = Schedule(name, what, profile, steps)
        return steps

    return register


def run_schedule(
    name: str, mutant: str | None = None, seed: int = 0, rules: frozenset[str] | None = None
) -> Outcome:
    """Run one; nothing in it depends on the seed. `rules`: as for `run`."""
    plan = SCHEDULES[name]
    failure: BaseException | None = None
    with directed(plan.profile, mutant, rules) as script:
        try:
            plan.steps(script)
            script.cluster.checks.check_logs()
            script.cluster.member_checks.check_sets()
        except Exception as error:
            failure = script.loop.failure or error
        cluster = script.cluster
    return Outcome(
        seed=seed,
        profile=name,
        seconds=cluster.loop.now,
        faults=(),
        failure=None if failure is None else f"{type(failure).__name__}: {failure}",
        rule=None if failure is None else getattr(failure, "rule", type(failure).__name__),
        acknowledged=cluster.acknowledged,
        reads=cluster.reads,
        elections=cluster.checks.elections,
        snapshots_loaded=cluster.checks.loads,
        events=cluster.loop.events,
        digest=hash((cluster.network.trace, cluster.loop.events)),
        at_s=cluster.loop.now,
        story=tuple(cluster.story),
    )


def _expect(script: Script, true: bool, text: str) -> None:
    if not true:
        raise Violation("schedule", f"{text} (answers: {script.answers})")


@schedule("flaw-of-2015", hosts=5, founders=4)
def _flaw_of_2015(script: Script) -> None:
    """A leader that has committed nothing in its own term changes the members, and an earlier change is still about"""
    script.begin("n1")
    script.changed("n1", "add", "n5")
    script.run(0.2)
    for one in ("n1", "n5"):
        script.cut(one, "n2", "n3", "n4")
    script.change("n1", "promote", "n5")  # n1 and n5 go by five voters, of which they are two
    script.run(0.02)
    _expect(script, {"n1", "n2", "n3", "n4", "n5"} == script.voters("n1"), "n1 did not begin to promote n5")
    # n2 is elected by n3 and n4, but they never hear it.
    script.when_sent(VOTE_ASK, "n2", lambda: script.cut("n2", "n3", "n4", way="out"), 1.5 * PACKET_S)
    script.campaign("n2")
    script.until(lambda: script.engine("n2").leading, "that n2 leads")
    script.change("n2", "remove", "n1")
    script.run(PACKET_S)
    script.network.mend("n2", "n3")
    script.cut("n3", "n4")
    script.run(0.05)
    script.isolate("n2")
    script.isolate("n3")
    for one in ("n1", "n5"):
        script.mend(one, "n4")
    script.restart("n1")
    script.elect("n1")
    script.run(0.1)


@schedule("two-at-once", hosts=3, founders=3)
def _two_at_once(script: Script) -> None:
    """A leader that is cut off removes the others one after the other, until it is a majority by itself"""
    script.begin("n1")
    script.isolate("n1")
    script.change("n1", "remove", "n2")
    script.change("n1", "remove", "n3")
    script.write("n1")
    script.run(0.1)
    script.elect("n2")
    script.run(0.1)


@schedule("swapped-at-once", hosts=4, founders=3)
def _swapped_at_once(script: Script) -> None:
    """A leader that is cut off with a newcomer puts it in the place of a voter: the two are no majority"""
    script.begin("n1")
    for one in ("n1", "n4"):
        script.cut(one, "n2", "n3")
    script.change("n1", "replace", "n4", script.id("n3"))
    script.write("n1")
    script.run(0.2)
    script.elect("n2")
    script.run(0.1)


@schedule("promoted-in-vain", hosts=4, founders=3)
def _promoted_in_vain(script: Script) -> None:
    """A learner that has nothing is not promoted: with it as one of four, the loss of one stops all writes"""
    script.begin("n1")
    script.cut("n4", "n2", "n3")
    script.network.paths["n1", "n4"].slow_s = 0.0
    script.changed("n1", "add", "n4")
    script.isolate("n4")
    acknowledged = script.write("n1")
    script.until(acknowledged, "a write by three of three")
    script.change("n1", "promote", "n4")
    script.run(0.1)
    script.kill("n3")
    acknowledged = script.write("n1", "y")
    script.until(acknowledged, "a write by two of three")


@schedule("one-to-two", hosts=2, founders=1)
def _one_to_two(script: Script) -> None:
    """A single voter restarts while it promotes the second: that one has to vote, though its log does not say so yet"""
    script.begin("n1")
    script.changed("n1", "add", "n2")
    script.run(0.2)
    script.cut("n1", "n2")
    script.change("n1", "promote", "n2")
    script.run(0.02)
    _expect(script, {"n1"} == script.voters("n2"), "n2 knows already that it is a voter")
    _expect(script, {"n1", "n2"} == script.voters("n1"), "n1 did not begin to promote n2")
    script.kill("n1")
    script.run(5.0)  # what was under way to n2 is lost
    script.mend("n1", "n2")
    script.start("n1")
    _expect(script, {"n1"} == script.voters("n2"), "n2 knows already that it is a voter")
    script.elect("n1")
    script.until(lambda: script.voters("n2") == {"n1", "n2"}, "the promotion")


@schedule("two-dead-of-five", hosts=5, founders=5)
def _two_dead_of_five(script: Script) -> None:
    """With two of five dead, removing a third of the living would leave two of four: nothing could be committed"""
    script.begin("n1")
    script.kill("n4")
    script.kill("n5")
    script.run(0.3)
    script.until(script.write("n1", "w"), "a write by three of five")
    script.run(0.5)
    script.change("n1", "remove", "n3")
    script.run(0.2)
    script.until(script.write("n1"), "a write by three of five")


@schedule("match-of-old", hosts=5, founders=5)
def _match_of_old(script: Script) -> None:
    """What a member had acknowledged before it was removed says nothing of what it has when it comes back"""
    script.begin("n1")
    for one in ("n1", "n4"):
        script.cut(one, "n2", "n3", "n5")
    for number in range(40):  # n4 acknowledges entries that nobody will commit
        script.write("n1", f"lost{number}")
        script.run(0.005)
    script.elect("n2")
    script.changed("n2", "remove", "n4")
    script.mend("n1", "n2", "n3", "n5")
    script.cut("n1", "n4")
    script.until(lambda: script.voters("n1") == {"n1", "n2", "n3", "n5"}, "that n1 follows")
    script.elect("n1")
    script.changed("n1", "add", "n4")
    script.change("n1", "promote", "n4")
    script.run(0.05)
    script.cut("n1", "n3", "n5")
    script.write("n1")
    script.run(0.2)


@schedule("late-notice", hosts=4, founders=4)
def _late_notice(script: Script) -> None:
    """A member that was removed and came back hears of its removal from somebody who slept: it does not believe that"""
    script.begin("n1")
    script.changed("n1", "remove", "n4")
    script.run(0.2)
    script.isolate("n3")
    script.changed("n1", "add", "n4")
    script.changed("n1", "promote", "n4")
    script.run(6.0)
    script.kill("n1")
    script.mend("n3", "n2", "n4")
    script.run(2.0)
    script.elect("n4")


@schedule("way-by-a-stranger", hosts=4, founders=1)
def _way_by_a_stranger(script: Script) -> None:
    """Who joins knows one address, where nobody but a stranger is left: that one tells the way to the members"""
    script.begin("n1")
    for name in ("n2", "n3"):
        script.changed("n1", "add", name)
        script.changed("n1", "promote", name)
    script.elect("n2")
    script.changed("n2", "remove", "n1")
    for name in ("n1", "n4"):
        script.wipe(name)
    script.cut("n4", "n2", "n3")
    script.start("n1")
    script.cluster.hosts["n4"].start()
    script.run(2.0)
    script.mend("n4", "n2", "n3")
    script.changed("n2", "add", "n4")
    script.changed("n2", "promote", "n4")


@schedule("known-to-one", hosts=3, founders=2)
def _known_to_one(script: Script) -> None:
    """A promotion is committed, but the one who is left to tell, having started again, cannot know that it was. The
    promoted one was away: by its own log it needs the other voter too, whose disk is lost"""
    script.begin("n1")
    script.changed("n1", "add", "n3")
    script.run(0.2)
    script.cut("n3", "n1", "n2")
    script.changed("n1", "promote", "n3")
    for name in ("n1", "n2", "n3"):
        script.kill(name)
    script.cluster.hosts["n2"].wipe()
    script.run(5.0)  # what was under way to n3 is lost
    script.mend("n3", "n1", "n2")
    for name in ("n1", "n3"):
        script.cluster.hosts[name].start()
    script.run(4.0)
    script.elect("n1")
    script.until(script.write("n1"), "a write by two of three")


@schedule("came-to-nothing", hosts=3, founders=3)
def _came_to_nothing(script: Script) -> None:
    """A leader dies with a removal that nobody else has. When it comes back, whom that leaves is away, and the others
    are two of three"""
    script.begin("n1")
    script.cut("n1", "n2", "n3", way="out")
    script.change("n1", "remove", "n3")
    script.run(0.1)
    script.kill("n1")
    script.run(5.0)  # what was under way is lost
    script.mend("n1", "n2", "n3")
    script.elect("n2")
    script.until(script.write("n2"), "a write without the first leader")
    script.kill("n2")
    script.cluster.hosts["n1"].start()
    script.run(4.0)
    script.elect("n3")
    script.until(script.write("n3"), "a write by two of three")


@schedule("expected-by-nobody", hosts=4, founders=3)
def _expected_by_nobody(script: Script) -> None:
    """A member that joined meets a first member that lost its disk and has not heard of the cluster: it lives on"""
    script.begin("n1")
    for step in ("add", "promote"):
        script.changed("n1", step, "n4")
    script.elect("n3")
    for name in ("n1", "n2"):
        script.changed("n3", "remove", name)
    script.wipe("n3")
    script.kill("n4")
    for name in ("n1", "n2"):
        script.isolate(name)
    for name in ("n3", "n4"):
        script.cluster.hosts[name].start()
    script.run(3.0)
    _expect(script, script.cluster.hosts["n4"].up, "n4 ended")


@schedule("deaf-leader", hosts=3, founders=3)
def _deaf_leader(script: Script) -> None:
    """A leader that is heard by all and hears nobody makes way, long before its connections are given up"""
    script.begin("n1")
    script.campaigners = set(script.cluster.names)
    for name in ("n2", "n3"):
        script.cut(name, "n1", way="out")
    script.run(0.5 * script.network.silence_s)
    _expect(script, not script.engine("n1").leading, "the leader leads on")


@schedule("leader-goes", hosts=3, founders=3)
def _leader_goes(script: Script) -> None:
    """A leader that is to be removed hands over first, and the next one removes it"""
    script.begin("n1")
    script.change("n1", "remove", "n1")
    script.until(lambda: any(script.engine(name).leading for name in ("n2", "n3")), "another leader")
    heir = next(name for name in ("n2", "n3") if script.engine(name).leading)
    _expect(script, {"n1", "n2", "n3"} == script.voters(heir), "the former leader wrote itself out")
    script.changed(heir, "remove", "n1")
    script.until(lambda: script.voters(heir) == {"n2", "n3"}, "the removal")
    _expect(script, "n1" not in map(name_of, script.members(heir).all), "n1 is a member still")


@schedule("started-within-lease", hosts=3, founders=3, timing=20.0)
def _started_within_lease(script: Script) -> None:
    """A member that answered its leader starts again at once, and another one asks it for its vote: the leader, which
    is cut off since, may trust its lease"""
    script.begin("n1")
    script.until(script.write("n1"), "a write")
    script.run(5 * PACKET_S)
    script.cut("n3", "n1")
    script.restart("n2")
    script.cut("n2", "n1")
    script.run(5 * PACKET_S)
    script.campaign("n3", others_forget=False)
    script.run(0.05)
    if script.engine("n3").leading:
        script.until(script.write("n3"), "a write by the other two")
    script.read("n1")
    script.run(0.1)


@schedule("never-the-end", hosts=4, founders=3, snapshot_entries=20)
def _never_the_end(script: Script) -> None:
    """A newcomer far away gets a snapshot while many write: the log that follows it must still be there when it came"""
    script.begin("n1")
    for number in range(60):
        script.until(script.write("n1", f"large{number}", bytes(600)), "a write")
    for way in (("n1", "n4"), ("n4", "n1")):
        script.network.paths[way].slow_s = 0.01
    script.changed("n1", "add", "n4")
    for number in range(400):
        script.until(script.write("n1", f"small{number}"), "a write")
    behind = script.engine("n1").journal.last - script.engine("n4").journal.last
    _expect(script, behind < 50, f"n4 is {behind} entries behind")


@schedule("full-disk", hosts=3, founders=3)
def _full_disk(script: Script) -> None:
    """A leader whose disk is full gives the lead away to one that can still write"""
    script.begin("n1")
    script.campaigners = set(script.cluster.names)
    script.cluster.hosts["n1"].disk.full = True
    script.write("n1", "lost", bytes(4000))
    script.run(2.0)
    _expect(
        script, script.cluster.hosts["n1"].life.number == 1, "the process ended, though it may wait for room"
    )
    _expect(script, not script.engine("n1").leading, "the leader leads on")
    script.until(script.write("n2"), "a write by the other two")


@schedule("answer-to-the-dead", hosts=3, founders=3)
def _answer_to_the_dead(script: Script) -> None:
    """A process dies while the leader's disk is busy with what it asked for, and another one of its member asks for
    something else, under the same number if it counts from one too: it must not be told what the first was to hear"""
    script.begin("n1")
    script.until(script.write("n1", "x"), "a write")
    pace = script.cluster.hosts["n1"].pace
    script.restart("n2")
    pace.least_s = 0.9
    script.write("n2", "lost")
    script.run(0.01)
    script.restart("n2")
    script.until(script.write("n2", "x", cas=1 << 40), "an answer")
    _expect(script, script.results[-1] is False, "a compare-and-set was told the result of another write")


@schedule("slower-than-heartbeats", hosts=3, founders=3)
def _slower_than_heartbeats(script: Script) -> None:
    """On each disk a sync takes longer than a leader leads without hearing anybody: writes are slow, and that is all"""
    script.begin("n1")
    script.campaigners = set(script.cluster.names)
    for host in script.cluster.hosts.values():
        host.pace.least_s = 0.9
    for key in ("a", "b", "c"):
        script.until(script.write("n1", key), "a write")
    _expect(script, script.engine("n1").leading, "the leader gave up")


@schedule("slower-than-elections", hosts=3, founders=3)
def _slower_than_elections(script: Script) -> None:
    """A leader dies, and on the disks of the other two a sync takes longer than members wait between two elections"""
    script.begin("n1")
    script.campaigners = {"n2", "n3"}
    paces = [script.cluster.hosts[name].pace for name in ("n2", "n3")]
    for pace in paces:
        pace.least_s = 0.4
    script.kill("n1")
    script.until(lambda: any(script.engine(name).leading for name in ("n2", "n3")), "another leader")
    for pace in paces:
        pace.least_s = 0.0
    script.until(script.write("n2"), "a write by the other two")
