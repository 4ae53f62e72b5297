"""What the leader does about its members by itself, decided on what it sees and when."""

import asyncio
from dataclasses import replace

import pytest

from raftreg.consensus import MemberChange, Status
from raftreg.duties.autopilot import AutopilotDuty, Watch, next_step
from raftreg.duties.liveness import LivenessDuty
from raftreg.duties.own_node import OwnNodeDuty
from raftreg.model import Autopilot
from raftreg.registry import Registry
from raftreg.state.queries import Nodes
from tests.fake_members import MemberCluster, peer, run, stranger, view

DEFAULT = Autopilot()
CLEANUP = Autopilot(cleanup_dead_servers=True)
THREE = (peer("a"), peer("b"), peer("c"))
LEARNER = peer("d", voter=False, caught_up=True)


def decide(
    status: Status, settings: Autopilot = DEFAULT, *, rejoin: bool = False, after_s: float = 100.0
) -> MemberChange | None:
    """The step of a leader that has seen the same for so long."""
    watch = Watch(0.0)
    for tenth in range(round(after_s * 10) + 1):
        watch.look(status, tenth / 10)
    return next_step(status, settings, watch, after_s, rejoin=rejoin)


def test_a_learner_is_promoted_once_it_kept_up() -> None:
    """For the stabilisation time, which operators set."""
    status = view(*THREE, LEARNER)
    assert decide(status, after_s=9.9) is None
    assert MemberChange("promote", "d.1") == decide(status, after_s=10.0)
    quick = Autopilot(server_stabilization_ns=1_000_000_000)
    assert MemberChange("promote", "d.1") == decide(status, quick, after_s=1.0)


def test_an_even_number_of_voters_does_not_wait_as_long() -> None:
    """One more makes the cluster survive more: 3 s are enough, as after a replacement, or less if that is set."""
    status = view(*THREE[:2], LEARNER)
    assert decide(status, after_s=2.9) is None
    assert MemberChange("promote", "d.1") == decide(status, after_s=3.0)
    quick = Autopilot(server_stabilization_ns=1_000_000_000)
    assert MemberChange("promote", "d.1") == decide(status, quick, after_s=1.0)


@pytest.mark.parametrize(
    "learner",
    [
        replace(LEARNER, standby=True),
        replace(LEARNER, caught_up=False),
        replace(LEARNER, connected=False),
        peer("d", voter=False, caught_up=True, silent_s=2),
    ],
)
def test_others_stay_learners(learner: object) -> None:
    """Standbys, and who lags or is away."""
    assert decide(view(*THREE, learner)) is None  # type: ignore[arg-type]  # a PeerStatus


@pytest.mark.parametrize(("lapse_s", "promoted_at"), [(1.0, 10.0), (3.0, 18.0)])
def test_a_learner_that_falls_back_begins_anew(lapse_s: float, promoted_at: float) -> None:
    """Its time counts from when it kept up again, unless that was for a moment only."""
    watch, well = Watch(0.0), view(*THREE, LEARNER)
    behind = view(*THREE, replace(LEARNER, caught_up=False))
    for now in range(30):
        status = behind if 5 <= now < 5 + lapse_s else well
        watch.look(status, now)
        if next_step(status, DEFAULT, watch, now, rejoin=False) is not None:
            assert promoted_at == now
            return
    raise AssertionError("never promoted")


def test_one_step_at_a_time() -> None:
    """While a member set is not committed nothing is done."""
    assert decide(replace(view(*THREE, LEARNER), members_committed=False)) is None


WIPED = view(*THREE[:2], peer("c", silent_s=40), strangers=(stranger("c"),))


def test_a_wiped_member_is_replaced() -> None:
    """If that is wanted; a standby stays one."""
    assert MemberChange("replace", "c.9", "c.1") == decide(WIPED, rejoin=True)
    assert decide(WIPED) is None
    standby = view(*THREE, peer("d", voter=False, standby=True, silent_s=40), strangers=(stranger("d"),))
    assert MemberChange("replace", "d.9", "d.1", True) == decide(standby, rejoin=True)


@pytest.mark.parametrize(
    "status",
    [
        view(*THREE[:2], peer("c", silent_s=29), strangers=(stranger("c"),)),
        view(*THREE[:2], peer("c", silent_s=40), strangers=(stranger("c", connected_s=1),)),
        view(*THREE[:2], peer("c", silent_s=40), strangers=(stranger("d"),)),
        view(*THREE, peer("d", silent_s=2), peer("e", silent_s=40), strangers=(stranger("e"),)),
        view(*THREE, LEARNER, peer("e", silent_s=40), strangers=(stranger("e"),)),
    ],
    ids=[
        "not silent for long",
        "does not stay",
        "another name",
        "another is silent",
        "one catches up already",
    ],
)
def test_a_wiped_member_waits(status: Status) -> None:
    """Until it is sure to be lost, its successor stays, and nobody else is in trouble or under way."""
    for after_s in (5.0, 100.0):
        step = decide(status, rejoin=True, after_s=after_s)
        assert step is None or step.kind == "promote"


def test_a_new_leader_counts_anew() -> None:
    """From when it began to lead, where a connection stands, or there never was one; else from when that was lost."""
    for c in (
        replace(peer("c", silent_s=40), connected=True),
        replace(peer("c", silent_s=2), last_contact_s=None),
    ):
        status = view(*THREE[:2], c, strangers=(stranger("c"),))
        assert decide(status, rejoin=True, after_s=29.0) is None
        assert MemberChange("replace", "c.9", "c.1") == decide(status, rejoin=True, after_s=30.0)
    assert MemberChange("replace", "c.9", "c.1") == decide(WIPED, rejoin=True, after_s=0.0)


FIVE = (*THREE, peer("d"), peer("e", silent_s=40))


def test_the_dead_are_cleaned_up_if_that_is_wanted() -> None:
    """One voter of five, or a learner; by default none is."""
    assert MemberChange("remove", "e.1") == decide(view(*FIVE), CLEANUP)
    assert decide(view(*FIVE)) is None
    learner = view(*THREE, peer("d", voter=False, silent_s=40))
    assert MemberChange("remove", "d.1") == decide(learner, CLEANUP)


@pytest.mark.parametrize(
    ("status", "settings"),
    [
        (view(*THREE[:2], peer("c", silent_s=40)), CLEANUP),
        (view(*FIVE), replace(CLEANUP, min_quorum=5)),
        (view(*THREE[:2], *(peer(name, silent_s=40) for name in "cde")), CLEANUP),
        (view(*THREE, peer("d"), peer("e", silent_s=29)), CLEANUP),
    ],
    ids=["three stay three", "minimum", "most are dead", "not silent for long"],
)
def test_the_dead_stay_where_they_are_needed(status: Status, settings: Autopilot) -> None:
    """Never below three voters or the operator's minimum, and never if most are dead: then the leader errs."""
    assert decide(status, settings, after_s=39.0) is None


def test_the_duty_takes_the_steps_of_a_leader() -> None:
    """And of nobody else; what consensus refuses is tried again later."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        cluster.members["d.1"] = LEARNER
        patient = AutopilotDuty(registries["a"])
        assert 0 < await patient.step()
        assert 0 < await AutopilotDuty(registries["b"]).step()
        assert [] == cluster.changes
        now = registries["a"].clock.now()
        patient._watch = Watch(now - 11)
        for second in range(12):
            patient._watch.look(cluster.nodes["a"].status(), now - 11 + second)
        assert 0.0 == await patient.step()
        assert [MemberChange("promote", "d.1")] == cluster.changes

    run(scenario)


def test_the_leader_says_once_who_waits_and_what_to_run(caplog: pytest.LogCaptureFixture) -> None:
    """As a warning where a member lost its data directory; nobody has to run anything where it comes in by itself."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        cluster.members["b.1"] = peer("b", silent_s=2)
        cluster.strangers = {"b.9": stranger("b"), "d.9": stranger("d")}
        for rejoin in (False, True):
            duty = AutopilotDuty(registries["a"], rejoin=rejoin)
            await duty.step()
            await duty.step()

    with caplog.at_level("INFO", "raftreg.duties.autopilot"):
        run(scenario)
    waits = ("INFO", "d waits to be added: raftreg operator raft add d")
    assert [
        ("WARNING", "b is back with an empty data directory: raftreg operator raft replace b"),
        waits,
        ("INFO", "b is back with an empty data directory: it comes in for its former self soon"),
        waits,
    ] == [(record.levelname, record.getMessage()) for record in caplog.records]


def test_a_removed_member_leaves_the_catalog() -> None:
    """Its node goes with what was on it; a node of another cluster, of which an archive told, only counts as lost."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        for name, registry in registries.items():
            duty = OwnNodeDuty(
                registry,
                node_id=f"0000000{name}",
                address="127.0.0.1",
                raft_port=1,
                http_address=f"{name}:80",
            )
            await duty.step()
        foreign = OwnNodeDuty(
            registries["a"], node_id="00000009", address="127.0.0.1", raft_port=1, http_address="f:80"
        )
        foreign._node = replace(foreign._node, name="foreign")
        foreign._service = replace(foreign._service, node="foreign")
        foreign._check = replace(foreign._check, node="foreign")
        await foreign.step()
        liveness = LivenessDuty(registries["a"], 1.0)
        await liveness.step()
        cluster.carry_out(MemberChange("remove", "c.1"))
        await liveness.step()
        await asyncio.sleep(0)
        assert ["a", "b", "foreign"] == [node.name for node in registries["a"].local(Nodes()).value]

    run(scenario)
