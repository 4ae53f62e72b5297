"""The leader's duty for sessions: TTLs, renewals, lock delays, leaders that come and go. The clock is the test's."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from raftreg.commands import KVLock, Register, SessionCreate, SessionDestroy, SessionExpire, SessionsKeep
from raftreg.duties.sessions import AT_ONCE_MAX, SLACK_S_MAX, SessionDuty
from raftreg.errors import NotLeader, Refused
from raftreg.model import Node, Session
from raftreg.state.queries import KVGet, LockDelays, Sessions
from tests.duties.in_memory import DutyStage, Stage
from tests.fake_cluster import FakeCluster
from tests.state.restores import restore_commands


class Scene(DutyStage[SessionDuty]):
    """A stage with the duty on it, and one node."""

    def __init__(self) -> None:
        super().__init__(SessionDuty)

    async def create(self, session_id: str, ttl_s: float = 0.0, **fields: object) -> None:
        """A session of node n1."""
        session = Session(session_id, "n1", ttl=f"{ttl_s:g}s", ttl_s=ttl_s, **fields)  # type: ignore[arg-type]
        await self.registry.write(SessionCreate(session))

    async def renew(self, session_id: str) -> object:
        """A renewal that node n2 took."""
        return await self.duty.on_renewal("n2", session_id)

    def ids(self) -> list[str]:
        """The sessions there are."""
        return [session.id for session in self.registry.local(Sessions()).value]


def run(scenario: Callable[[Scene], Awaitable[None]]) -> None:
    """Run a scenario on a fresh scene."""

    async def main() -> None:
        scene = Scene()
        await scene.consensus.start()
        await scene.register("n1")
        await scene.at(0)
        await scenario(scene)

    asyncio.run(main())


@pytest.mark.parametrize("ttl_s", [10.0, 30.0, 86_400.0])
def test_session_expires_after_its_ttl_and_within_a_tenth(
    ttl_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Never before the TTL, and within a tenth of it more; a line of the log names session and node."""
    caplog.set_level(logging.INFO)

    async def scenario(scene: Scene) -> None:
        await scene.create("s1", ttl_s, name="mine")
        await scene.create("s2")
        await scene.at(0)
        assert ["s1", "s2"] == scene.ids()
        await scene.at(ttl_s)
        assert ["s1", "s2"] == scene.ids()
        await scene.at(ttl_s * 1.05)
        assert ["s2"] == scene.ids()
        assert 1 == scene.duty.expired
        assert f'session "mine" s1 of node n1 expired after {ttl_s:g}s' in caplog.messages

    run(scenario)


def test_renewal_puts_the_deadline_off_without_the_log() -> None:
    """Each renewal gives another TTL, and writes nothing."""

    async def scenario(scene: Scene) -> None:
        await scene.create("s1", 10)
        await scene.at(0)
        index = scene.registry.state.index
        for time in (9.0, 18.0, 27.0):
            scene.clock.time = 1000.0 + time
            assert await scene.renew("s1") is True
            await scene.at(time + 5)
        assert index == scene.registry.state.index
        await scene.at(37.0)
        assert ["s1"] == scene.ids()
        await scene.at(38.0)
        assert [] == scene.ids()
        assert await scene.renew("s1") is False

    run(scenario)


def test_renewal_of_what_has_no_ttl_or_is_not_there() -> None:
    """A session without a TTL may be renewed to no effect; an unknown one may not; malformed messages are refused."""

    async def scenario(scene: Scene) -> None:
        await scene.create("s1")
        assert await scene.renew("s1") is True
        assert await scene.renew("s2") is False
        with pytest.raises(Refused, match="malformed"):
            await scene.duty.on_renewal("n2", 5)
        assert 0 == scene.registry.state.sessions.keeper

    run(scenario)


def test_idle_duty_sleeps_and_wakes_when_told() -> None:
    """Without deadlines it sleeps for seconds; a new session wakes it, and then it sleeps until that is due."""

    async def scenario(scene: Scene) -> None:
        assert 5.0 == await scene.at(1)
        assert 0 == scene.woken
        await scene.create("s1", 10)
        assert 1 <= scene.woken
        assert 5.0 == await scene.at(2)
        assert 0.0 < await scene.at(11) <= 10.0 + SLACK_S_MAX - 9.0

    run(scenario)


def test_first_renewal_waits_for_the_keeper() -> None:
    """Before the duty has written that it keeps the deadlines, a renewal is sent back and the duty is woken."""

    async def scenario(scene: Scene) -> None:
        await scene.create("s1", 10)
        woken = scene.woken
        with pytest.raises(NotLeader):
            await scene.renew("s1")
        assert woken + 1 == scene.woken
        await scene.at(0)
        assert await scene.renew("s1") is True

    run(scenario)


def test_renewal_without_a_lease_is_sent_back() -> None:
    """A leader that cannot be sure that it still leads acknowledges nothing."""

    async def scenario(scene: Scene) -> None:
        await scene.create("s1", 10)
        await scene.at(0)
        lease = [True, False]
        scene.consensus.read_index_now = lambda: 1 if lease and lease.pop(0) else None  # type: ignore[method-assign]
        with pytest.raises(NotLeader, match="another node may lead"):
            await scene.renew("s1")

    run(scenario)


def test_new_leader_gives_one_full_ttl() -> None:
    """A node that begins to lead, or does so again, counts from then on."""

    async def scenario(scene: Scene) -> None:
        await scene.create("s1", 10)
        await scene.at(0)
        scene.consensus.role = "follower"
        assert 5.0 == await scene.at(50)
        assert ["s1"] == scene.ids()
        scene.consensus.role = "leader"
        await scene.at(60)
        await scene.at(70)
        assert ["s1"] == scene.ids()
        await scene.at(71)
        assert [] == scene.ids()

    run(scenario)


def test_leader_that_was_replaced_unnoticed_begins_anew() -> None:
    """If another node kept the deadlines meanwhile, this one's are worth nothing, and are not counted as expiries."""

    async def scenario(scene: Scene) -> None:
        await scene.create("s1", 10)
        await scene.at(0)
        await scene.registry.write(SessionsKeep())
        with pytest.raises(NotLeader):
            await scene.renew("s1")
        await scene.at(11)
        assert ["s1"] == scene.ids()
        await scene.at(21)
        assert (["s1"], 0) == (scene.ids(), scene.duty.expired)
        await scene.at(22)
        assert [] == scene.ids()

    run(scenario)


def test_late_expiry_of_a_deposed_leader_changes_nothing() -> None:
    """What an old keeper decided arrives at its successor, who took a renewal since: the session lives."""

    async def main() -> None:
        cluster = FakeCluster("n1", "n2")
        old, new = cluster.registry("n1"), cluster.registry("n2")
        stage = Stage()
        await old.write(Register("n1", Node("n1", "", "10.0.0.1")))
        await old.write(SessionCreate(Session("s1", "n1", ttl="10s", ttl_s=10.0)))
        keeper = await old.write(SessionsKeep())
        cluster.elect("n2")
        duty = SessionDuty(new, lambda: None)
        stage.consensus.role = "leader"
        new.consensus.status = stage.consensus.status  # type: ignore[method-assign]
        await duty.step()
        assert await duty.on_renewal("n1", "s1") is True
        late = await old.write(SessionExpire("s1", keeper.index))
        assert late.value is False
        assert ["s1"] == [session.id for session in new.local(Sessions()).value]

    asyncio.run(main())


def test_many_expiries_go_in_portions() -> None:
    """A step ends a bounded number of sessions, and the next goes on at once."""

    async def scenario(scene: Scene) -> None:
        for number in range(AT_ONCE_MAX + 5):
            await scene.create(f"s{number}", 10)
        await scene.at(0)
        assert 0.0 == await scene.at(11)
        assert 5 == len(scene.ids())
        await scene.at(11)
        assert [] == scene.ids()

    run(scenario)


def test_lock_delay_ends_in_its_time() -> None:
    """The key may be locked again as soon as the delay is over, also when the session had no TTL, and not before."""

    async def scenario(scene: Scene) -> None:
        await scene.create("s1", lock_delay_ns=3_000_000_000)
        await scene.create("s2")
        assert (await scene.registry.write(KVLock("a", b"1", 0, "s1"))).value is True
        await scene.at(1)
        await scene.registry.write(SessionDestroy("s1"))
        assert 3.0 == await scene.at(1)
        assert (await scene.registry.write(KVLock("a", b"2", 0, "s2"))).value is False
        await scene.at(3.9)
        assert (await scene.registry.write(KVLock("a", b"2", 0, "s2"))).value is False
        await scene.at(4)
        assert (await scene.registry.write(KVLock("a", b"2", 0, "s2"))).value is True
        assert () == scene.registry.local(LockDelays()).value

    run(scenario)


def test_restored_state_is_kept_anew() -> None:
    """After a restore all deadlines begin again, those of sessions that are back included."""

    async def scenario(scene: Scene) -> None:
        await scene.create("s1", 10)
        await scene.registry.write(KVLock("a", b"1", 0, "s1"))
        dump = scene.registry.state.dump()
        await scene.at(0)
        await scene.at(11)
        assert [] == scene.ids()
        for command in restore_commands(dump):
            await scene.registry.write(command)
        assert ["s1"] == scene.ids()
        await scene.at(12)
        await scene.at(22)
        entry = scene.registry.local(KVGet("a")).value
        assert entry is not None
        assert "s1" == entry.session
        await scene.at(23)
        assert [] == scene.ids()

    run(scenario)
