"""The leader's duty for checks: TTLs, reaping, aliases. The clock is the test's."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from raftreg.commands import CheckUpdate, Deregister
from raftreg.duties.aliases import OUTPUT_MAX
from raftreg.duties.checks import CheckDuty
from raftreg.duties.heartbeats import Heartbeat
from raftreg.duties.seen import ChecksSeen
from raftreg.duties.ttl import OUTPUT_SYNC_S
from raftreg.errors import NotLeader, Refused
from raftreg.model import Service
from raftreg.state.queries import NodeServices
from tests.duties.in_memory import DutyStage, alias_check, ttl_check

WEB = Service("n1", "web", "web", port=80)


class Scene(DutyStage[CheckDuty]):
    """A stage with the duty on it."""

    def __init__(self) -> None:
        super().__init__(CheckDuty)

    async def beat(self, check_id: str, status: str, output: str = "") -> None:
        """A heartbeat from node n2."""
        await self.duty.on_heartbeat("n2", Heartbeat("n1", check_id, status, output).payload())


def run(scenario: Callable[[Scene], Awaitable[None]]) -> None:
    """Run a scenario on a fresh scene."""

    async def main() -> None:
        scene = Scene()
        await scene.consensus.start()
        await scenario(scene)

    asyncio.run(main())


def test_ttl_expires_after_its_time_and_not_before() -> None:
    """A check without heartbeats turns critical after its TTL; a heartbeat gives it another TTL, outside the log."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", ttl_check("c", 10))
        assert 10.0 >= await scene.at(0) > 0
        scene.clock.time = 1009.0
        index = scene.registry.state.index
        await scene.beat("c", "passing")
        assert index == scene.registry.state.index
        await scene.at(18.9)
        assert "passing" == scene.check("n1", "c").status
        await scene.at(19.1)
        check = scene.check("n1", "c")
        assert ("critical", "TTL expired") == (check.status, check.output)

    run(scenario)


def test_expiry_quotes_the_newest_output_and_is_written_once() -> None:
    """What the last heartbeat said is in the output, and an expired check costs nothing any more."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", ttl_check("c", 10))
        await scene.at(0)
        await scene.beat("c", "passing", "all well")
        await scene.at(11)
        expected = "TTL expired (last output before timeout follows): all well"
        assert expected == scene.check("n1", "c").output
        index = scene.registry.state.index
        for time in range(12, 100, 5):
            await scene.at(time)
        assert (index, expected) == (scene.registry.state.index, scene.check("n1", "c").output)

    run(scenario)


def test_heartbeat_of_another_status_goes_through_the_log() -> None:
    """If the leader knows the check by another status than the node that took the heartbeat, it writes the new one."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", ttl_check("c", 10))
        await scene.at(0)
        await scene.at(11)
        await scene.beat("c", "passing", "back")
        check = scene.check("n1", "c")
        assert ("passing", "back") == (check.status, check.output)
        await scene.at(12)
        await scene.at(21)
        assert "passing" == scene.check("n1", "c").status

    run(scenario)


def test_outputs_reach_the_log_after_minutes() -> None:
    """An output that changed alone is written with the first heartbeat after five minutes, with the newest text."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", ttl_check("c", 1000))
        await scene.at(0)
        for time in (1, 100, 200):
            scene.clock.time = 1000.0 + time
            await scene.beat("c", "passing", f"at {time}")
        assert "" == scene.check("n1", "c").output
        scene.clock.time = 1001.0 + OUTPUT_SYNC_S
        await scene.beat("c", "passing", "newest")
        assert "newest" == scene.check("n1", "c").output

    run(scenario)


def test_new_leader_grants_a_full_ttl() -> None:
    """Deadlines begin anew with each leadership, and a follower expires nothing."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", ttl_check("c", 10))
        await scene.at(0)
        scene.consensus.role = "follower"
        await scene.at(50)
        assert "passing" == scene.check("n1", "c").status
        scene.consensus.role = "leader"
        await scene.at(60)
        await scene.at(69)
        assert "passing" == scene.check("n1", "c").status
        await scene.at(71)
        assert "critical" == scene.check("n1", "c").status

    run(scenario)


def test_a_change_in_the_catalog_is_a_sign_of_life() -> None:
    """A status that came through the log gives a full TTL, and the duty is woken once for many changes."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", ttl_check("c", 10))
        await scene.at(0)
        scene.clock.time = 1009.0
        woken = scene.woken
        for status in ("warning", "passing", "warning"):
            await scene.registry.write(CheckUpdate("n1", "c", status, ""))
        assert woken + 1 == scene.woken
        await scene.at(9)
        await scene.at(18)
        assert "warning" == scene.check("n1", "c").status

    run(scenario)


def test_removed_checks_are_forgotten() -> None:
    """A check that is deregistered before its time does not come back, and its heartbeat is refused."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", ttl_check("c", 10))
        await scene.at(0)
        await scene.registry.write(Deregister("n1", check_id="c"))
        index = scene.registry.state.index
        await scene.at(11)
        assert index == scene.registry.state.index
        with pytest.raises(Refused) as caught:
            await scene.beat("c", "passing")
        assert 'CheckID "c" does not have associated TTL' == caught.value.text

    run(scenario)


def test_malformed_heartbeats_are_refused() -> None:
    """Whatever a node sends as a heartbeat, the leader answers with a refusal."""

    async def scenario(scene: Scene) -> None:
        for payload in (None, [], ["n1", "c", "passing"], ["n1", "c", "passing", 1], {"node": "n1"}):
            with pytest.raises(Refused):
                await scene.duty.on_heartbeat("n2", payload)

    run(scenario)


def test_reaping_after_too_long_a_failure() -> None:
    """A service whose check stays critical is deregistered after the time it asked for; passing begins anew."""

    async def scenario(scene: Scene) -> None:
        check = ttl_check("c", 10_000, status="critical", service_id="web", reap_s=60)
        await scene.register("n1", check, service=WEB)
        await scene.at(0)
        await scene.registry.write(CheckUpdate("n1", "c", "passing", ""))
        await scene.at(50)
        await scene.registry.write(CheckUpdate("n1", "c", "critical", ""))
        await scene.at(51)
        await scene.at(110)
        found = scene.registry.local(NodeServices("n1")).value
        assert found is not None
        assert 1 == len(found[1])
        await scene.at(112)
        found = scene.registry.local(NodeServices("n1")).value
        assert found is not None
        assert () == found[1]

    run(scenario)


def test_alias_follows_a_service() -> None:
    """An alias has the worst status among the checks of the service that it names, and says why."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", ttl_check("c", 1000, service_id="web"), service=WEB)
        other = Service("n1", "other", "other")
        await scene.register("n1", alias_check("a", "other", AliasService="web"), service=other)
        seen = []
        for time, status in enumerate(("passing", "warning", "critical"), start=1):
            await scene.registry.write(CheckUpdate("n1", "c", status, "why"))
            await scene.at(time)
            alias = scene.check("n1", "a")
            seen.append((alias.status, alias.output))
        expected = [
            ("passing", "All checks passing."),
            ("warning", 'Aliased check "c" failing: why'),
            ("critical", 'Aliased check "c" failing: why'),
        ]
        assert expected == seen
        await scene.registry.write(Deregister("n1", service_id="web"))
        await scene.at(9)
        alias = scene.check("n1", "a")
        assert ("critical", "Service web could not be found on node n1") == (alias.status, alias.output)

    run(scenario)


def test_alias_follows_another_node() -> None:
    """An alias of a node looks at that node's own checks, wherever it is registered; without any it passes."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n2")
        await scene.register("n1", alias_check("a", "", AliasNode="N2"))
        await scene.at(1)
        assert ("passing", "No checks found.") == (
            scene.check("n1", "a").status,
            scene.check("n1", "a").output,
        )
        await scene.register("n2", ttl_check("c", 1000, status="warning"))
        await scene.at(2)
        assert "warning" == scene.check("n1", "a").status

    run(scenario)


def test_failed_expiry_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An expiry that could not be written is written as soon as that is possible."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", ttl_check("c", 10))
        await scene.at(0)
        write = scene.registry.write

        async def refuse(command: object, *, as_leader: bool) -> object:
            raise Refused(500, "not now")

        monkeypatch.setattr(scene.registry, "write", refuse)
        await scene.at(11)
        monkeypatch.setattr(scene.registry, "write", write)
        await scene.at(12)
        assert "critical" == scene.check("n1", "c").status

    run(scenario)


def test_thousands_of_checks_are_taken_one_by_one() -> None:
    """Of many checks exactly those expire that were not heard."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", *(ttl_check(f"c{number}", 10) for number in range(3000)))
        await scene.at(0)
        scene.clock.time = 1009.0
        for number in range(0, 3000, 2):
            await scene.beat(f"c{number}", "passing")
        await scene.at(11)
        statuses = [scene.check("n1", f"c{number}").status for number in range(3000)]
        assert ["passing", "critical"] * 1500 == statuses

    run(scenario)


def test_reaping_spares_a_service_that_recovered_meanwhile() -> None:
    """A recovery that is applied before the deregistration stops it; a check that goes on failing is tried again."""

    async def scenario(scene: Scene) -> None:
        check = ttl_check("c", 10_000, status="critical", service_id="web", reap_s=60)
        await scene.register("n1", check, service=WEB)
        await scene.at(0)
        scene.clock.time = 1061.0
        for status, output in (("critical", "still"), ("passing", "")):
            recovery = CheckUpdate("n1", "c", status, output)
            writing = asyncio.create_task(scene.registry.write(recovery))
            await asyncio.sleep(0)  # it is on its way before the duty looks
            await scene.at(61)
            assert (await writing).value is True
            found = scene.registry.local(NodeServices("n1")).value
            assert found is not None
            assert 1 == len(found[1]), output
        await scene.registry.write(CheckUpdate("n1", "c", "critical", ""))
        await scene.at(62)
        await scene.at(123)
        found = scene.registry.local(NodeServices("n1")).value
        assert found is not None
        assert () == found[1]

    run(scenario)


def test_heartbeat_is_not_taken_by_a_leader_that_was_deposed() -> None:
    """Its successor would not know of it, so the sender must try there."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", ttl_check("c", 10))
        await scene.at(0)
        scene.consensus.role = "follower"
        with pytest.raises(NotLeader):
            await scene.beat("c", "passing")

    run(scenario)


def test_heartbeat_has_the_last_word_over_an_expiry_on_its_way() -> None:
    """A heartbeat that is acknowledged while the expiry is being written is not undone by it."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", ttl_check("c", 10))
        await scene.at(0)
        scene.clock.time = 1010.1
        stepping = asyncio.create_task(scene.duty.step())
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the expiry waits for its batch
        assert "passing" == scene.check("n1", "c").status
        await scene.beat("c", "passing", "just in time")
        await stepping
        assert "passing" == scene.check("n1", "c").status
        await scene.at(12)
        await scene.at(20)
        assert "passing" == scene.check("n1", "c").status
        await scene.at(31)
        assert "critical" == scene.check("n1", "c").status

    run(scenario)


def test_followers_do_not_collect_what_changed() -> None:
    """Nodes come and go for months under ever new names; a node that does not lead remembers none of them."""

    async def scenario(scene: Scene) -> None:
        seen = ChecksSeen(scene.registry)
        scene.registry.on_topics(seen.on_topics)

        async def come_and_go(count: int) -> int:
            for number in range(count):
                await scene.register(f"{number}-{count}")
                await scene.registry.write(Deregister(f"{number}-{count}"))
            return len(seen._dirty)

        assert 0 == await come_and_go(20)
        seen.differences()  # This node led for a while.
        seen.forget()
        assert 0 == await come_and_go(30)

    run(scenario)


def test_aliases_of_each_other_come_to_rest() -> None:
    """Two that look at each other quote each other, and what they quote is bounded: nothing is written for ever."""

    async def scenario(scene: Scene) -> None:
        await scene.register("n1", alias_check("x", ""), alias_check("y", ""))
        time = 0.0
        for _ in range(1000):
            time += 0.5
            index = scene.registry.state.index
            await scene.at(time)
            if time > 1 and index == scene.registry.state.index:
                break
        else:
            raise AssertionError(f"never at rest: {len(scene.check('n1', 'x').output)} bytes of output")
        assert OUTPUT_MAX == len(scene.check("n1", "x").output)

    run(scenario)
