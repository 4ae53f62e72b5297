"""The feature level: raised by the leader when every member can, asked before what needs a later one is written."""

import asyncio
from dataclasses import replace

import pytest

from raftreg import commands, versions
from raftreg.cluster_commands import LevelRaise
from raftreg.commands import KVSet
from raftreg.consensus import PeerStatus
from raftreg.duties.levels import LevelDuty
from raftreg.errors import Refused
from raftreg.registry import advice_on
from tests.duties.in_memory import DutyStage


def _stage(*known: tuple[int, int] | None) -> DutyStage[LevelDuty]:
    """A leader n1 of members that know these levels; None for one that is not connected."""
    stage = DutyStage(lambda registry, wake: LevelDuty(registry))
    leader, *others = (_peer(number, levels) for number, levels in enumerate(known, 1))
    stage.consensus.peers = (replace(leader, id=stage.consensus.status().id), *others)
    return stage


def _peer(number: int, levels: tuple[int, int] | None) -> PeerStatus:
    name, up = f"n{number}", levels is not None
    return PeerStatus(f"{name}.1", name, f"{name}:1", number < 3, up, 0.0, levels=levels)


def _level_after(stage: DutyStage[LevelDuty]) -> int:
    async def steps() -> None:
        await stage.consensus.start()
        await stage.at(0)
        await stage.at(10)

    asyncio.run(steps())
    return stage.registry.state.level


def test_level_is_raised_when_every_member_knows_it() -> None:
    """By the leader, in two steps of the duty at most."""
    assert 2 == _level_after(_stage((1, 2), (1, 3), (2, 2)))


@pytest.mark.parametrize(
    ("third", "why"),
    [((1, 1), "n3 knows 1"), (None, "n3 is not connected")],
    ids=["older", "away"],
)
def test_level_waits_for_each_member_learners_too(third: tuple[int, int] | None, why: str) -> None:
    """An older release on one of them is enough, and so is one that is not there to say. Operators are told."""
    stage = _stage((1, 2), (1, 2), third)
    assert 1 == _level_after(stage)
    assert f"feature level 2 waits for all members: {why}" in advice_on(stage.consensus.status())
    stage.consensus.peers = tuple(replace(peer, levels=(1, 2)) for peer in stage.consensus.peers)
    assert 2 == _level_after(stage)
    assert [] == [line for line in advice_on(stage.consensus.status()) if "level" in line]


def test_only_the_leader_raises_the_level() -> None:
    """The others leave it to it."""
    stage = _stage((1, 2), (1, 2))
    stage.consensus.role = "follower"
    assert 1 == _level_after(stage)


def test_level_is_never_lowered() -> None:
    """Not by a leader of an older release, and not by a command that came late."""

    async def scenario() -> None:
        stage = _stage((1, 2))
        await stage.consensus.start()
        assert 2 == (await stage.registry.write(LevelRaise(2))).value
        assert 2 == (await stage.registry.write(LevelRaise(1))).value
        assert 3600.0 == await stage.at(0)
        assert 2 == stage.registry.state.level

    asyncio.run(scenario())


def test_command_of_a_later_level_is_refused_until_the_gate_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it waits for; nothing is written."""
    monkeypatch.setitem(commands.LEVEL_OF, KVSet, 2)

    async def scenario() -> None:
        stage = _stage((1, 2))
        await stage.consensus.start()
        with pytest.raises(Refused, match="KVSet needs feature level 2, and the cluster is at 1") as refused:
            await stage.registry.write(KVSet("a", b""))
        assert (409, 1) == (refused.value.status, stage.registry.state.index)
        await stage.at(0)
        assert (await stage.registry.write(KVSet("a", b""))).value is True

    asyncio.run(scenario())


def test_range_of_levels_of_this_release_reaches_its_newest() -> None:
    """Whatever is gated is known to this release."""
    assert versions.LEVEL_MIN <= versions.STANDBYS <= versions.LEVEL_MAX
