"""The prober: which checks it probes and when, what it writes, and what it only shows. The clock is the test's."""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from raftreg.checks import prober
from raftreg.checks.dialing import NotProbed, ProbeFailed
from raftreg.checks.kinds import Ask
from raftreg.checks.outcome import Outcome
from raftreg.checks.prober import Prober
from raftreg.commands import CheckUpdate, Deregister, KVSet, Register, Rehome
from raftreg.model import Check, Probe, Service
from raftreg.state.queries import CheckById
from tests.duties.in_memory import Stage
from tests.fake_clock import FakeClock

WEB = Service("n1", "web", "web", address="10.0.0.9", port=80)


class HalfClock(FakeClock):
    """Chance gives the middle."""

    def uniform(self, low: float, high: float) -> float:
        """The middle."""
        return (low + high) / 2


class Scene(Stage):
    """A stage with a prober whose targets are what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: FakeClock = HalfClock()
        self.registry.clock = self.clock
        self.asked: list[str] = []  # the options `HTTP` of what was probed, in order
        self.answers: dict[str, Outcome | Exception] = {}
        self.hold: asyncio.Event | None = None
        self.held: set[str] = set()  # whom it holds; all, if none is named
        self.shown: dict[str, str] = {}
        self.prober = Prober(self.registry, self._note, self)
        self.closed = False

    def _note(self, check: Check, output: str) -> None:
        self.shown[check.id] = output

    def make(self, probe: Probe) -> Ask:
        """A probe that gives the answer of its target, once it may."""
        target = str((probe.options or {})["HTTP"])

        async def ask() -> Outcome:
            self.asked.append(target)
            if self.hold is not None and (not self.held or target in self.held):
                await self.hold.wait()
            answer = self.answers.get(target, Outcome("passing", "well"))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return ask

    def close(self) -> None:
        """The prober is done."""
        self.closed = True

    async def settle(self) -> None:
        """Let everything that can happen now happen."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def at(self, time: float) -> list[str]:
        """Move the clock to so many seconds after the start; what was asked since the last time."""
        self.clock.time = 1000.0 + time
        self.asked.clear()
        self.prober.turn()
        await self.settle()
        return list(self.asked)

    async def web(self, *checks: Check, node: str = "n1") -> None:
        """Register the service with checks on a node, as an agent does."""
        service = replace(WEB, node=node)
        ids = tuple(check.id for check in checks)
        await self.registry.write(
            Register(node, service=service, checks=checks, moves=True, keep_status=ids, replace_checks=True)
        )


def http_check(check_id: str, interval_s: float = 10.0, status: str = "critical", **numbers: int) -> Check:
    """A check of the service, whose target has its name."""
    probe = Probe("http", interval_s=interval_s, options={"HTTP": check_id}, **numbers)
    return Check("n1", check_id, check_id, status=status, service_id="web", type="http", probe=probe)


def run(scenario: Callable[[Scene], Awaitable[None]]) -> None:
    """Run a scenario with a prober that has begun, on nodes n1 (its own) and n2."""

    async def main() -> None:
        scene = Scene()
        await scene.consensus.start()
        for name in ("n1", "n2"):
            await scene.register(name)
        await scene.prober.start()
        await scene.settle()
        await scene.at(0)
        await scenario(scene)
        await scene.prober.stop()
        assert scene.closed

    asyncio.run(main())


def test_a_check_is_probed_once_per_interval() -> None:
    """A new check of unknown status is probed within a tenth of its interval, then finds its place in it."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a"))
        assert [[], [], ["a"]] == [await scene.at(time) for time in (1.0, 1.4, 1.6)]
        assert "passing" == scene.check("n1", "a").status
        assert [[], ["a"], [], [], ["a"]] == [await scene.at(time) for time in (11.4, 11.6, 12, 21.4, 21.6)]

    run(scenario)


def test_where_a_status_was_given_the_whole_interval_is_used() -> None:
    """As in Consul: chance puts the first probe anywhere in it."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", status="passing"))
        assert [[], [], ["a"]] == [await scene.at(time) for time in (1, 5.9, 6.1)]

    run(scenario)


def test_changes_of_status_are_written_and_changes_of_output_are_not() -> None:
    """The log hears of a status once; a new output is shown by this node alone."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", 1.0))
        await scene.at(1)
        await scene.at(2)
        check = scene.check("n1", "a")
        assert ("passing", "well") == (check.status, check.output)
        index = scene.registry.state.index
        scene.answers["a"] = Outcome("passing", "very well")
        await scene.at(3)
        assert (index, "well", "very well") == (
            scene.registry.state.index,
            scene.check("n1", "a").output,
            scene.shown["a"],
        )
        scene.answers["a"] = ProbeFailed("gone")
        await scene.at(4)
        check = scene.check("n1", "a")
        assert ("critical", "gone", index + 1) == (check.status, check.output, scene.registry.state.index)

    run(scenario)


def test_the_first_reason_of_a_failure_is_written() -> None:
    """A check that was critical from its registration on says why on every node; later reasons are shown here."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", 1.0))
        scene.answers["a"] = ProbeFailed("refused")
        await scene.at(1)
        await scene.at(2)
        index = scene.registry.state.index
        scene.answers["a"] = ProbeFailed("no route")
        await scene.at(3.2)
        assert ("refused", "no route") == (scene.check("n1", "a").output, scene.shown["a"])
        assert index == scene.registry.state.index

    run(scenario)


def test_results_below_the_threshold_change_nothing() -> None:
    """Neither the status nor the output that is shown."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", 1.0, failures_before_critical=2))
        await scene.at(1)
        await scene.at(2)
        scene.answers["a"] = ProbeFailed("gone")
        await scene.at(3)
        assert ("passing", "well") == (scene.check("n1", "a").status, scene.shown["a"])
        await scene.at(4)
        assert "critical" == scene.check("n1", "a").status

    run(scenario)


def test_an_identical_registration_does_not_disturb_the_probing() -> None:
    """Neither when it is due nor what was found out."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a"))
        await scene.at(1)
        await scene.at(2)
        await scene.web(http_check("a"))
        assert [[], ["a"]] == [await scene.at(time) for time in (11.4, 11.6)]

    run(scenario)


def test_another_definition_takes_effect() -> None:
    """A new interval or target counts from its registration on, and the status stays until it is known better."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", 600.0))
        await scene.at(1)
        await scene.web(http_check("a", 2.0))
        await scene.at(2)
        assert ["a"] == await scene.at(3.1)
        assert [[], ["a"]] == [await scene.at(time) for time in (4.0, 4.2)]
        probe = Probe("http", interval_s=2.0, options={"HTTP": "b"})
        await scene.web(replace(http_check("a"), probe=probe))
        await scene.at(6)
        assert ["b"] == await scene.at(7.5)
        assert "passing" == scene.check("n1", "a").status

    run(scenario)


@pytest.mark.parametrize(
    "command",
    [
        Deregister("n1", service_id="web"),
        Deregister("n1", check_id="a"),
        Deregister("n1"),
        Rehome("n1", "n2"),
    ],
)
def test_what_is_gone_or_moved_is_not_probed(command: Deregister | Rehome) -> None:
    """Nor is a result written that was on its way."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", 1.0))
        scene.hold = asyncio.Event()
        await scene.at(1)
        assert ["a"] == await scene.at(2)
        await scene.registry.write(command)
        await scene.at(2.1)
        index = scene.registry.state.index
        scene.hold.set()
        assert [[], []] == [await scene.at(time) for time in (3, 10)]
        assert (index, 0) == (scene.registry.state.index, len(scene.prober))

    run(scenario)


def test_what_moves_here_is_probed_soon() -> None:
    """The probing that a lost node broke off goes on within half a second, and one failure does not overturn it."""

    async def scenario(scene: Scene) -> None:
        check = http_check("a", 600.0, status="passing", failures_before_critical=2)
        await scene.web(replace(check, node="n2"), node="n2")
        assert [] == await scene.at(600)
        await scene.registry.write(Rehome("n2", "n1"))
        await scene.at(601)
        scene.answers["a"] = ProbeFailed("gone")
        assert ["a"] == await scene.at(601.5)
        assert "passing" == scene.check("n1", "a").status

    run(scenario)


def test_a_result_is_not_written_over_a_newer_registration() -> None:
    """What was found out for one definition is not said of another."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", 1.0))
        scene.hold = asyncio.Event()
        scene.answers["a"] = Outcome("warning", "old")
        await scene.at(1)
        assert ["a"] == await scene.at(2)
        probe = Probe("http", interval_s=100.0, options={"HTTP": "b"})
        await scene.web(replace(http_check("a"), probe=probe))
        scene.hold.set()
        await scene.settle()
        assert "critical" == scene.check("n1", "a").status

    run(scenario)


def test_a_result_is_written_over_what_left_the_definition_alone() -> None:
    """New tags of the service change the record of the check, but not what was found out."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", 1.0))
        scene.hold = asyncio.Event()
        await scene.at(1)
        assert ["a"] == await scene.at(2)
        await scene.registry.write(Register("n1", service=replace(WEB, tags=("new",))))
        scene.hold.set()
        await scene.settle()
        check = scene.check("n1", "a")
        assert ("passing", ("new",)) == (check.status, check.service_tags)

    run(scenario)


def test_only_probes_of_this_node_are_made() -> None:
    """TTL and alias checks, records of the catalog and checks of other nodes are the business of others."""

    async def scenario(scene: Scene) -> None:
        ttl = replace(http_check("ttl"), probe=Probe("ttl", ttl_s=10))
        await scene.web(ttl, replace(http_check("catalog"), probe=None))
        await scene.registry.write(
            Register(
                "n2", service=replace(WEB, id="other"), checks=(replace(http_check("x"), service_id="other"),)
            )
        )
        assert [[], []] == [await scene.at(time) for time in (1, 100)]
        assert 0 == len(scene.prober)

    run(scenario)


def test_a_probe_is_never_made_twice_at_once() -> None:
    """One that takes longer than its interval is waited for; what was missed is left out."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", 1.0))
        scene.hold = asyncio.Event()
        await scene.at(1)
        assert [["a"], [], []] == [await scene.at(time) for time in (2, 3, 4.9)]
        scene.hold.set()
        await scene.settle()
        assert [[], ["a"], []] == [await scene.at(time) for time in (4.95, 6.3, 6.35)]

    run(scenario)


def test_targets_that_hang_delay_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many new checks get no answer, one that answered before is probed in its time; none is forgotten."""
    monkeypatch.setattr(prober, "_slots_max", lambda: 4)

    async def scenario(scene: Scene) -> None:
        hanging = [f"h{number}" for number in range(6)]
        await scene.web(http_check("a", 1.0))
        await scene.at(1)
        assert ["a"] == await scene.at(2)
        scene.hold, scene.held = asyncio.Event(), set(hanging)
        await scene.web(http_check("a", 1.0), *(http_check(name, 1.0) for name in hanging))
        await scene.at(3)
        assert ["h0", "h1", "a"] == await scene.at(4.2)
        assert ["a"] == await scene.at(5.2)
        scene.hold.set()
        await scene.settle()
        assert {"a", *hanging[2:]} == set(scene.asked)

    run(scenario)


def test_a_bug_in_a_probe_is_critical_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It does not end the probing of this check, nor of others."""

    async def scenario(scene: Scene) -> None:
        scene.answers["a"] = KeyError("a bug")
        await scene.web(http_check("a", 1.0), http_check("b", 1.0))
        await scene.at(1)
        assert ["a", "b"] == await scene.at(2)
        assert "internal error: KeyError" == scene.check("n1", "a").output
        assert ["a", "b"] == await scene.at(3.2)

    with caplog.at_level(logging.ERROR, "raftreg.checks"):
        run(scenario)
    assert 2 == len([record for record in caplog.records if record.exc_info])


@pytest.mark.parametrize(
    "want", [NotProbed("too many open files"), OSError(errno.EMFILE, "Too many open files")]
)
def test_what_this_node_cannot_ask_says_nothing_of_the_target(want: Exception) -> None:
    """Without a file or memory for it the status stays, and the check is asked again the next time."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", 1.0))
        await scene.at(1)
        await scene.at(2)
        scene.answers["a"] = want
        await scene.at(3.2)
        assert "passing" == scene.check("n1", "a").status
        assert ["a"] == await scene.at(4.4)

    run(scenario)


def test_a_status_is_written_again_until_it_is_there() -> None:
    """While nobody leads it waits; the newest result counts."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", 1.0))
        await scene.at(1)
        await scene.at(2)
        index = scene.check("n1", "a").modify_index
        # The record changes behind the prober's back, as a write that was thought lost does.
        scene.answers["a"] = Outcome("warning", "hm")
        await scene.registry.write(CheckUpdate("n1", "a", "critical", "late", index))
        await scene.at(3.2)
        assert ("warning", "hm") == (scene.check("n1", "a").status, scene.check("n1", "a").output)

    run(scenario)


def test_checks_that_were_there_before_are_probed_after_a_restart() -> None:
    """Spread over their intervals."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a"))
        later = Scene()
        later.registry = scene.registry
        later.prober = Prober(scene.registry, later._note, later)
        await later.prober.start()
        await later.settle()
        later.clock = scene.clock
        assert [[], [], ["a"]] == [await later.at(time) for time in (1, 4.9, 5.1)]
        await later.prober.stop()

    run(scenario)


def test_a_restored_state_is_probed_as_it_is_now() -> None:
    """Checks that it brings begin to be probed; those that it has not end."""

    async def scenario(scene: Scene) -> None:
        await scene.web(http_check("a", 1.0))
        saved = scene.registry.state.dump()
        await scene.web(http_check("b", 1.0))
        await scene.at(1)
        assert ["b"] == await scene.at(2)
        scene.registry._replica.load(saved)
        await scene.at(3)
        assert ["a"] == await scene.at(4)

    run(scenario)


def test_without_checks_nothing_wakes_up() -> None:
    """No timer is set, whatever else is written."""

    async def scenario(scene: Scene) -> None:
        await scene.registry.write(KVSet("key", b"value"))
        assert None is scene.prober._timer
        await scene.web(http_check("a"))
        assert scene.prober._timer is not None
        await scene.registry.write(Deregister("n1", service_id="web"))
        await scene.at(1)
        await scene.at(100)
        assert None is scene.prober._timer
        assert None is scene.registry.local(CheckById("n1", "a")).value

    run(scenario)
