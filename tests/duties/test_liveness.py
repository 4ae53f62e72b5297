"""serfHealth, re-homing, a node's own record, and what happens when a duty fails."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from raftreg.commands import CheckUpdate, Deregister
from raftreg.duties import Duties
from raftreg.duties.duties import Worker
from raftreg.duties.liveness import ALIVE, LOST, LivenessDuty
from raftreg.duties.own_node import OwnNodeDuty
from raftreg.errors import NoLeader
from raftreg.model import HTTP_META, SERF_HEALTH, SERVER_SERVICE, Check, Service
from raftreg.registry import ReadOptions
from raftreg.state import Topic
from raftreg.state.queries import NodeServices, ServiceNodes
from tests.duties.in_memory import Stage

ID = "11111111-2222-3333-4444-555555555555"


class Scene(Stage):
    """Three members, all registered, n1 leading."""

    def __init__(self) -> None:
        super().__init__()
        self.duty = LivenessDuty(self.registry, lost_after_s=1.0)
        self.hear(n2=0.0, n3=0.0)

    def hear(self, **last_contact_s: float | None) -> None:
        """Let the members have been heard so long ago."""
        heard = {"n1": None, **last_contact_s}
        self.consensus.peers = tuple(self.peer(name, seconds) for name, seconds in heard.items())

    async def at(self, time: float) -> None:
        """Move the clock to so many seconds after the start and take a step."""
        self.clock.time = 1000.0 + time
        await self.duty.step()

    def health(self) -> list[str]:
        """serfHealth of n1, n2 and n3."""
        return [self.check(name, SERF_HEALTH).status for name in ("n1", "n2", "n3")]

    def places(self, name: str) -> list[str]:
        """On which nodes a service is."""
        return [node.name for node, _ in self.registry.local(ServiceNodes(name)).value]


def run(scenario: Callable[[Scene], Awaitable[None]]) -> None:
    """Run a scenario on a fresh scene."""

    async def main() -> None:
        scene = Scene()
        await scene.consensus.start()
        for name in ("n1", "n2", "n3"):
            await scene.register(
                name, Check(name, SERF_HEALTH, "Serf Health Status", status="passing", output=ALIVE)
            )
        await scenario(scene)

    asyncio.run(main())


def test_silence_turns_critical_and_a_sound_passing() -> None:
    """A member that is silent for longer than a second is critical, until it is heard again."""

    async def scenario(scene: Scene) -> None:
        await scene.at(0)
        scene.hear(n2=0.9, n3=0.0)
        await scene.at(5)
        assert ["passing"] * 3 == scene.health()
        scene.hear(n2=1.1, n3=0.0)
        await scene.at(6)
        assert (["passing", "critical", "passing"], LOST) == (
            scene.health(),
            scene.check("n2", SERF_HEALTH).output,
        )
        index = scene.registry.state.index
        await scene.at(7)
        assert index == scene.registry.state.index
        scene.hear(n2=0.0, n3=0.0)
        await scene.at(8)
        assert (["passing"] * 3, ALIVE) == (scene.health(), scene.check("n2", SERF_HEALTH).output)

    run(scenario)


def test_new_leader_waits_before_it_believes_a_silence() -> None:
    """Who has just been elected has heard nobody yet; a follower judges nobody."""

    async def scenario(scene: Scene) -> None:
        scene.hear(n2=None, n3=None)
        scene.consensus.role = "follower"
        await scene.at(0)
        await scene.at(50)
        scene.consensus.role = "leader"
        await scene.at(60)
        await scene.at(60.9)
        assert ["passing"] * 3 == scene.health()
        await scene.at(61.1)
        assert ["passing", "critical", "critical"] == scene.health()

    run(scenario)


def test_services_with_an_address_of_their_own_move_to_the_emptiest_node() -> None:
    """What is not on the lost node's host moves with its checks in the state that they have; the rest stays."""

    async def scenario(scene: Scene) -> None:
        away = Service("n2", "away", "away", address="10.0.0.9", port=1)
        check = Check("n2", "service:away", "c", status="passing", service_id="away")
        await scene.register("n2", check, service=away)
        await scene.register("n2", service=Service("n2", "here", "here"))
        await scene.register("n3", service=Service("n3", "x", "x"))
        await scene.at(0)
        scene.hear(n2=2.0, n3=0.0)
        seen: list[tuple[list[str], str]] = []
        scene.registry.on_topics(
            lambda _: seen.append((scene.places("away"), scene.check("n2", SERF_HEALTH).status))
        )
        await scene.at(5)
        assert [(["n1"], "passing"), (["n1"], "critical")] == seen
        assert (["n1"], ["n2"]) == (scene.places("away"), scene.places("here"))
        assert "passing" == scene.check("n1", "service:away").status
        index = scene.registry.state.index
        await scene.at(6)
        assert index == scene.registry.state.index

    run(scenario)


def test_nodes_of_another_cluster_are_lost() -> None:
    """What the archive of another cluster brought along is alive nowhere: what can move moves, the rest is critical."""

    async def scenario(scene: Scene) -> None:
        scene.hear(n2=0.0, n3=0.0)
        server = Service("old", SERVER_SERVICE, SERVER_SERVICE, meta={HTTP_META: "10.0.0.8:8500"})
        serf = Check("old", SERF_HEALTH, "Serf Health Status", status="passing", output=ALIVE)
        await scene.register("old", serf, service=server)
        await scene.register("old", service=Service("old", "web", "web", address="10.1.1.1"))
        mine = Service("ext", SERVER_SERVICE, SERVER_SERVICE)
        await scene.register("ext", replace(serf, node="ext"), service=mine)
        await scene.at(0)
        assert ("critical", "passing") == (
            scene.check("old", SERF_HEALTH).status,
            scene.check("ext", SERF_HEALTH).status,
        )
        assert "old" not in scene.places("web")
        assert 1 == len(scene.places("web"))

    run(scenario)


def test_a_removed_member_leaves_the_catalog_whoever_leads() -> None:
    """Also under a leader that never saw it as a member: the one before died between the removal and this."""

    async def scenario(scene: Scene) -> None:
        server = Service("n3", SERVER_SERVICE, SERVER_SERVICE, meta={HTTP_META: "10.0.0.3:8500"})
        await scene.register("n3", service=server)
        scene.hear(n2=0.0)
        scene.consensus.former = frozenset({"n3"})
        scene.consensus.members_committed = False
        await scene.at(0)
        assert ["n3"] == scene.places(SERVER_SERVICE)
        scene.consensus.members_committed = True
        await scene.at(1)
        assert [] == scene.places(SERVER_SERVICE)

    run(scenario)


def test_own_record_is_written_once_and_again_when_it_is_gone() -> None:
    """The node, the cluster's service on it and serfHealth come back if somebody removes them; a status stays."""

    async def scenario(scene: Scene) -> None:
        await scene.registry.write(Deregister("n1"))
        duty = OwnNodeDuty(scene.registry, node_id=ID, address="10.0.0.1", raft_port=8300)
        await duty.step()
        ((node, service),) = scene.registry.local(ServiceNodes("consul")).value
        assert ("n1", ID, "10.0.0.1", 8300) == (node.name, node.id, node.address, service.port)
        index = scene.registry.state.index
        await duty.step()
        assert index == scene.registry.state.index
        await scene.registry.write(CheckUpdate("n1", SERF_HEALTH, "critical", LOST))
        await scene.registry.write(Deregister("n1", service_id="consul"))
        await duty.step()
        assert (["n1"], "critical") == (scene.places("consul"), scene.check("n1", SERF_HEALTH).status)

    run(scenario)


def test_a_new_incarnation_takes_over_the_name() -> None:
    """A node that comes back with a new id under its name replaces the record of the old one, which seemed alive."""

    async def scenario(scene: Scene) -> None:
        for node_id in (ID, ID.replace("1", "2")):
            duty = OwnNodeDuty(scene.registry, node_id=node_id, address="10.0.0.1", raft_port=8300)
            await duty.step()
        ((node, _),) = scene.registry.local(ServiceNodes("consul")).value
        assert ID.replace("1", "2") == node.id

    run(scenario)


class FailingDuty:
    """A duty that goes wrong in every way before it works."""

    name = "failing"

    def __init__(self) -> None:
        self.steps = 0
        self.worked = asyncio.Semaphore(0)

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Nothing."""

    async def step(self) -> float:
        """Fail as expected, then as a bug would, then work."""
        self.steps += 1
        if self.steps == 1:
            raise NoLeader("none")
        if self.steps == 2:
            raise KeyError("a bug")
        self.worked.release()
        return 60.0


def test_a_failing_duty_goes_on_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    """An expected failure is tried again quietly; a bug is logged with its traceback, and the duty goes on."""

    async def scenario(scene: Scene) -> None:
        duty, worker = FailingDuty(), Worker()
        task = asyncio.create_task(worker.run(duty))
        await duty.worked.acquire()
        worker.wake()
        await duty.worked.acquire()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with caplog.at_level(logging.INFO, "raftreg.duties"):
        run(scenario)
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "failing: a step failed" in record.getMessage()


def test_duties_start_and_stop() -> None:
    """Started duties register the own node; stopped ones leave no task behind."""

    async def scenario(scene: Scene) -> None:
        await scene.registry.write(Deregister("n1"))
        duties = Duties(scene.registry, node_id=ID, address="10.0.0.1", raft_port=8300)
        await duties.start()
        while scene.registry.local(NodeServices("n1")).value is None:
            await scene.registry.read(
                NodeServices("n1"), ReadOptions(index=scene.registry.state.index, wait_s=10)
            )
        await duties.stop()
        assert ([], {asyncio.current_task()}) == (duties._tasks, asyncio.all_tasks())

    run(scenario)
