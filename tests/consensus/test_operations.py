"""What operators ask of real nodes: changes of members and hand-over, with what they are told."""

import asyncio
from pathlib import Path

import pytest

from raftreg.consensus import MemberChange
from raftreg.consensus.node import RaftNode
from raftreg.errors import HandingOver, NotLeader, OutcomeUnknown, Refused
from tests.consensus.trios import Trio, with_trio


async def _taken(node: RaftNode, change: MemberChange) -> int:
    """The index of a change, once the leader hears from enough voters to try it."""
    while True:
        try:
            return await node.change_members(change)
        except Refused as refused:
            if "too few would be alive" not in refused.text:
                raise
            await asyncio.sleep(0.02)


def test_leadership_goes_to_the_one_that_is_named(tmp_path: Path) -> None:
    """The call returns when the other leads; who leads already has nothing to do."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader, follower = await trio.leader(), await trio.follower()
        assert leader.status().id == await leader.transfer_leadership(leader.status().id)
        await leader.propose(b"x")
        await trio.until(lambda: all(peer.caught_up for peer in leader.status().peers))
        assert follower.status().id == await leader.transfer_leadership(follower.status().id)
        await trio.until(lambda: follower.status().role == "leader")
        with pytest.raises(NotLeader):
            await leader.transfer_leadership()

    with_trio(tmp_path, scenario)


def test_leadership_does_not_go_to_one_that_cannot_take_it(tmp_path: Path) -> None:
    """A voter that is away, and somebody who is none, are refused with the reason; the leader leads on."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader, follower = await trio.leader(), await trio.follower()
        away = follower.status().id
        await trio.stop(follower.settings.name)
        await trio.until(lambda: not all(peer.connected for peer in leader.status().peers))
        for to, why in ((away, "is not connected"), ("n9.nobody", "n9.nobody is no voter")):
            with pytest.raises(Refused, match=why) as caught:
                await leader.transfer_leadership(to)
            assert 409 == caught.value.status
        assert "leader" == leader.status().role

    with_trio(tmp_path, scenario)


def test_a_member_is_removed(tmp_path: Path) -> None:
    """The index is that of the committed entry, and every node that stays shows the new set."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader, follower = await trio.leader(), await trio.follower()
        gone = follower.status().id
        index = await _taken(leader, MemberChange("remove", gone))
        stays = [node for node in trio.nodes.values() if node is not follower]
        await trio.until(lambda: all(node.status().members_index == index for node in stays))
        await trio.until(lambda: all(node.status().members_committed for node in stays))
        assert not any(peer.id == gone for node in stays for peer in node.status().peers)
        with pytest.raises(Refused, match="is no member"):
            await leader.change_members(MemberChange("remove", gone))
        with pytest.raises(NotLeader):
            await follower.change_members(MemberChange("remove", gone))

    with_trio(tmp_path, scenario)


def test_a_leader_that_has_to_go_hands_over_and_the_next_one_does_it(tmp_path: Path) -> None:
    """The caller is told to ask the next leader."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        first = await trio.leader()
        await trio.until(lambda: all(peer.caught_up for peer in first.status().peers))
        gone = MemberChange("remove", first.status().id)
        with pytest.raises(HandingOver):
            await first.change_members(gone)
        others = [node for node in trio.nodes.values() if node is not first]
        await trio.until(lambda: any(node.status().role == "leader" for node in others))
        (second,) = (node for node in others if node.status().role == "leader")
        await _taken(second, gone)
        assert 2 == len(second.status().peers)

    with_trio(tmp_path, scenario)


def test_a_change_whose_leader_is_deposed_is_of_unknown_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was appended and may be committed by the next leader, or not."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader, follower = await trio.leader(), await trio.follower()
        await trio.until(lambda: all(peer.caught_up for peer in leader.status().peers))
        monkeypatch.setattr(leader._wires, "send", lambda member, message: True)  # Nothing arrives any more.
        with pytest.raises(OutcomeUnknown, match="look at the members"):
            await leader.change_members(MemberChange("remove", follower.status().id))
        assert "leader" != leader.status().role

    with_trio(tmp_path, scenario)
