"""Changes of the members, asked for at any node: names, retries, and what is refused with which words."""

import asyncio
from dataclasses import replace

import pytest

from raftreg.consensus import MemberChange
from raftreg.errors import NoLeader, OutcomeUnknown, Refused
from raftreg.registry import Registry, Wish, advice_on, warnings_about, warnings_on
from raftreg.registry.member_names import resolve, voter_called
from raftreg.registry.membership import is_done
from tests.fake_members import UUID, MemberCluster, peer, run, stranger, view

THREE = (peer("a"), peer("b"), peer("c"))


@pytest.mark.parametrize("node", ["a", "b"])
def test_a_change_may_be_asked_for_anywhere(node: str) -> None:
    """The leader carries it out, and what follows for operators is told."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        cluster.strangers["d.9"] = stranger("d")
        added = await registries[node].membership.change(Wish("add", "d"))
        assert ("d.9", True, ()) == (added.member, added.done, added.warnings)
        promoted = await registries[node].membership.change(Wish("promote", "d"))
        assert warnings_about(4) == list(promoted.warnings)
        removed = await registries[node].membership.change(Wish("remove", "c:1"))
        assert ("c.1", True) == (removed.member, removed.done)
        steps = [MemberChange("add", "d.9"), MemberChange("promote", "d.9"), MemberChange("remove", "c.1")]
        assert steps == cluster.changes

    run(scenario)


@pytest.mark.parametrize("standby", [False, True])
def test_an_add_that_somebody_else_made_of_another_kind_is_not_done(standby: bool) -> None:
    """A standby in place of a learner, or a learner or voter in place of a standby; a learner that votes by now is."""
    step = MemberChange("add", "d.9", standby=standby)
    for voter, is_one, done in (
        (False, standby, True),
        (False, not standby, False),
        (True, False, not standby),
    ):
        there = peer("d", incarnation="9", voter=voter, standby=is_one)
        assert done == is_done(view(*THREE, there), step)
    assert not is_done(view(*THREE), step)


@pytest.mark.parametrize("fault", ["hand over", "lost", "dropped"])
@pytest.mark.parametrize(
    "wish", [Wish("remove", "a"), Wish("add", "d"), Wish("replace", "c", "d"), Wish("promote", "e")]
)
def test_a_change_outlives_its_leader(wish: Wish, fault: str) -> None:
    """It is tried at the next leader, and done once: a step that has happened is found to be so."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        cluster.strangers["d.9"] = stranger("d")
        cluster.members["e.1"] = peer("e", voter=False)
        cluster.change_faults = [fault]
        await registries["b"].membership.change(wish)
        assert 1 == len(cluster.changes)
        assert [] == cluster.change_faults

    run(scenario)


def test_what_is_so_already_is_fine() -> None:
    """Adding a member, and promoting a voter, change nothing."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        for wish in (Wish("add", "b"), Wish("promote", "b.1")):
            changed = await registries["c"].membership.change(wish)
            assert ("b.1", False) == (changed.member, changed.done)
        assert [] == cluster.changes

    run(scenario)


def test_what_is_not_committed_is_not_so_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step whose entry may still be lost is not reported as done; the leader says what it waits for."""
    monkeypatch.setattr("raftreg.registry.membership._SETTLE_S", 0.05)

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        cluster.is_committed = False
        with pytest.raises(Refused, match="not committed"):
            await registries["c"].membership.change(Wish("add", "b"))
        assert [] == cluster.changes

    run(scenario)


def test_without_a_leader_nothing_is_done() -> None:
    """The error says so, after the write timeout."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        cluster.elect(None)
        with pytest.raises(NoLeader):
            await registries["a"].membership.change(Wish("remove", "c"))
        assert [] == cluster.changes

    run(scenario)


def test_an_outcome_that_stays_unknown_is_said_to_be() -> None:
    """When each leader is lost under the change until the time is over."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        cluster.change_faults = ["dropped"] * 1000
        with pytest.raises(OutcomeUnknown):
            await registries["a"].membership.change(Wish("remove", "c"))

    run(scenario)


@pytest.mark.parametrize(("asked", "leader"), [("", "b"), ("c", "c"), ("c.1", "c"), ("a", "a")])
def test_leadership_is_handed_over(asked: str, leader: str) -> None:
    """To the one that is named, or to any other; if it leads already, nothing happens. The name is told."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        assert leader == await registries["c"].membership.transfer(asked)
        assert leader == cluster.leader
        assert (0 if leader == "a" else 1) == cluster.transfers

    run(scenario)


def test_a_node_leaves() -> None:
    """It is no member any more then; leaving twice is fine, also while the first of all leads."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        cluster.change_faults = ["hand over"]
        await registries["a"].membership.leave()
        await registries["a"].membership.leave()
        assert [MemberChange("remove", "a.1")] == cluster.changes

    run(scenario)


def test_the_view_of_the_leader_is_told_everywhere() -> None:
    """With what only the leader knows."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        cluster.strangers["d.9"] = stranger("d")
        seen = await registries["c"].membership.view()
        assert cluster.nodes["a"].status() == seen.status
        assert 5 == seen.status.peers[0].match_index

    run(scenario)


@pytest.mark.parametrize("which", ["c", "C", f"c.{UUID}", "c:1", "01234567-89ab-cdef-0123-456789abcdef"])
def test_a_member_has_several_names(which: str) -> None:
    """Its name in any case, its id, its address, its UUID."""
    status = view(*THREE[:2], peer("c", incarnation=UUID))
    assert MemberChange("remove", f"c.{UUID}") == resolve(status, Wish("remove", which))


def test_a_living_member_is_not_replaced_by_its_namesake() -> None:
    """That is a second process, in whatever case it writes the name: the leader itself is safe from it, too."""
    status = view(*THREE, strangers=(stranger("A"), stranger("c"), stranger("d")))
    for wish in (Wish("replace", "a"), Wish("replace", "a.1", "A.9"), Wish("replace", "c")):
        with pytest.raises(Refused) as refused:
            resolve(status, wish)
        assert 409 == refused.value.status
        assert "is alive, so nobody of its name comes for it" in refused.value.text
        assert (
            "is a second process with its name. Stop it, or start it with another --node"
            in refused.value.text
        )
    text = "a is a member and alive, and A.9 at A:9 is a second process with its name. Stop it, or start it with "
    assert f"{text}another --node" in advice_on(status)


LOST = view(*THREE[:2], peer("c", silent_s=40), strangers=(stranger("c"), stranger("d")))


def test_a_wiped_node_comes_in_for_itself() -> None:
    """Without a second name, the node that waits under the same name is meant; else the one that is named."""
    assert MemberChange("replace", "c.9", "c.1") == resolve(LOST, Wish("replace", "c"))
    assert MemberChange("replace", "d.9", "c.1", True) == resolve(
        LOST, Wish("replace", "c", "d", standby=True)
    )


def test_no_two_members_get_one_name() -> None:
    """Who comes bears the name of the one that goes, or a name that nobody else has."""
    status = view(
        *THREE[:2], peer("c", silent_s=40), peer("e", silent_s=40), strangers=(stranger("E"), stranger("c"))
    )
    text = "E.9 has the name of another member, e.1: replace that one by it, or start it with another --node"
    with pytest.raises(Refused) as refused:
        resolve(status, Wish("replace", "c", "E.9"))
    assert (409, text) == (refused.value.status, refused.value.text)
    assert MemberChange("replace", "E.9", "e.1") == resolve(status, Wish("replace", "e"))


def test_who_comes_for_a_standby_is_one() -> None:
    """Unless it is asked for otherwise; who comes for a voter or a learner is none unless it is asked for."""
    gone = peer("s", voter=False, silent_s=40, standby=True), peer("l", voter=False, silent_s=40)
    status = view(*THREE, *gone, strangers=(stranger("s"), stranger("l"), stranger("d")))
    for wish, member, standby in (
        (Wish("replace", "s"), "s.9", True),
        (Wish("replace", "s", "d"), "d.9", True),
        (Wish("replace", "s", standby=False), "s.9", False),
        (Wish("replace", "l"), "l.9", False),
        (Wish("replace", "l", standby=True), "l.9", True),
    ):
        assert MemberChange("replace", member, f"{wish.which}.1", standby) == resolve(status, wish)


@pytest.mark.parametrize(
    ("wish", "status", "text"),
    [
        (Wish("add", ""), 400, "which node?"),
        (
            Wish("add", "x"),
            404,
            'no node "x" waits to be added (waiting are c, d): start it with an empty data',
        ),
        (
            Wish("add", "c"),
            409,
            "c is a member already, with another data directory (c.1): if that is lost, replace",
        ),
        (Wish("promote", "x"), 404, 'no member "x"; members are a, b, c'),
        (Wish("promote", "d"), 404, "cannot promote d: it is no member yet: add it first"),
        (Wish("remove", "d"), 404, "cannot remove d: it is no member: stop it"),
        (Wish("remove", "b"), 409, "b is alive and c is not: remove or replace c first"),
        (Wish("replace", "c", "x"), 404, 'no node "x" waits to come for c (waiting are c, d): start it'),
        (Wish("replace", "b", "d"), 409, "b is alive and c is not: remove or replace c first"),
        (Wish("replace", "b", force=True), 404, 'no node "b" waits to come for b (waiting are c, d)'),
        (Wish("replace", "c", "b"), 409, "b is a member already: once it is a voter, remove c"),
    ],
)
def test_mistakes_are_told_with_what_there_is(wish: Wish, status: int, text: str) -> None:
    """And with what to do instead."""
    with pytest.raises(Refused) as refused:
        resolve(LOST, wish)
    assert status == refused.value.status
    assert refused.value.text.startswith(text), refused.value.text


def test_a_name_that_may_mean_two_is_refused() -> None:
    """With the ids of both."""
    status = view(*THREE, peer("c", incarnation="2", voter=False))
    with pytest.raises(Refused, match=r'"c" may mean c\.1, c\.2: give the id'):
        resolve(status, Wish("remove", "c"))
    assert MemberChange("remove", "c.2") == resolve(status, Wish("remove", "c.2"))


def test_the_dead_may_go_and_force_takes_the_living() -> None:
    """What is refused for a living voter is right for the dead one, for learners, and if it is forced."""
    assert MemberChange("remove", "c.1") == resolve(LOST, Wish("remove", "c"))
    assert MemberChange("remove", "b.1") == resolve(LOST, Wish("remove", "b", force=True))
    assert MemberChange("replace", "d.9", "b.1") == resolve(LOST, Wish("replace", "b", "d", force=True))
    learner = view(*THREE[:2], peer("c", silent_s=40), peer("d", voter=False))
    assert MemberChange("remove", "d.1") == resolve(learner, Wish("remove", "d"))


def test_only_voters_can_lead() -> None:
    """A learner is refused as heir."""
    with pytest.raises(Refused, match="c is a learner and cannot lead"):
        voter_called(view(*THREE[:2], peer("c", voter=False)), "c")


def test_advice_names_the_command() -> None:
    """For nodes that wait, for one that was wiped, for one that is dead, and for one that was removed."""
    text = "\n".join(advice_on(LOST))
    assert "raftreg operator raft replace c\n" in text
    assert text.endswith("raftreg operator raft add d")
    assert "raftreg operator raft replace c NEW" not in text  # It is there again, so that one line is enough.
    text = "\n".join(advice_on(view(*THREE[:2], peer("c", silent_s=40))))
    assert "raftreg operator raft replace c NEW" in text
    assert [] == advice_on(view(*THREE)) == advice_on(view(*THREE, leads=False))


def test_advice_when_the_majority_is_lost() -> None:
    """Who is missing, how many are needed, and what is left if they never come back."""
    lost = (peer("b", silent_s=40), peer("c", silent_s=40), peer("d", voter=False))
    assert [
        "no leader, since b, c of 3 voters cannot be reached and 2 are needed: mend or start them; "
        "only if they are lost for good: raftreg recover"
    ] == advice_on(view(peer("a"), *lost, leads=False))


def test_no_command_is_named_that_needs_the_majority_that_is_lost() -> None:
    """Of voters that lost their disks, the disks are to be found; nobody is added or replaced. A namesake can go."""
    lost = (peer("b", silent_s=40), peer("c", silent_s=40), peer("d", voter=False))
    waiting = tuple(stranger(name) for name in ("B", "c", "d", "e"))
    no_leader, back, second = advice_on(view(peer("a"), *lost, strangers=waiting, leads=False))
    assert no_leader.startswith("no leader, since b, c of 3 voters")
    assert (
        "back with an empty data directory: b, c: find what was on the former disks and start from that, or else "
        "raftreg recover on a node that has its data"
    ) == back
    assert second.startswith("d is a member and alive, and d.9")


def test_who_is_no_member_advises_on_itself_only() -> None:
    """What it was told of the others may be old."""
    seen = view(*THREE, strangers=(stranger("d"), stranger("c")), me="e", leads=False)
    assert ["this node is no member of cluster c1; to make it one: raftreg operator raft add e"] == advice_on(
        seen
    )
    removed = replace(view(*THREE, leads=False), removed=True)
    assert [
        "this node was removed from cluster c1: stop it, or to have it back: raftreg operator raft add a"
    ] == advice_on(removed)


def test_even_numbers_are_warned_of() -> None:
    """They cost a write more and survive no more; so are one and two voters, each in its own words."""
    assert [] == warnings_about(3) + warnings_about(5)
    assert ["one voter: its loss stops the cluster"] == warnings_about(1)
    assert warnings_about(2)[0].startswith("2 voters: every write needs both")
    assert warnings_about(6)[0].startswith("6 voters survive the loss of 2, as 5 do")
    assert warnings_about(2) == warnings_on(view(*THREE[:2], peer("c", voter=False)))
    starting = replace(view(*THREE[:2]), role="starting")
    assert [] == warnings_on(starting) + warnings_on(view()) + warnings_on(view(*THREE[:2], me="e"))


def test_a_node_that_was_just_started_is_waited_for() -> None:
    """It may be about to connect when an operator, or a script, is quick."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        asyncio.get_running_loop().call_later(0.1, lambda: cluster.strangers.update({"d.9": stranger("d")}))
        assert "d.9" == (await registries["b"].membership.change(Wish("add", "d"))).member

    run(scenario)


def test_nothing_else_waits_for_a_node_that_is_to_come() -> None:
    """What is sent to the leader in the same turn, such as renewals of sessions, is answered meanwhile."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        async def answer(caller: str, payload: object) -> object:
            return payload

        registries["a"].on_leader_call("renewal", answer)
        changing = [
            asyncio.ensure_future(registries["b"].membership.change(Wish("add", "d"))) for _ in range(2)
        ]
        renewing = asyncio.ensure_future(registries["b"].tell_leader("renewal", 7))
        await asyncio.wait([*changing, renewing], return_when=asyncio.FIRST_COMPLETED)
        assert [False, False, True] == [task.done() for task in (*changing, renewing)]
        cluster.strangers["d.9"] = stranger("d")
        assert ["d.9", "d.9"] == [changed.member for changed in await asyncio.gather(*changing)]

    run(scenario)


def test_who_is_no_member_has_nobody_to_ask() -> None:
    """It says so at once, with what to run and where; and its page does."""

    async def scenario(cluster: MemberCluster, registries: dict[str, Registry]) -> None:
        del cluster.members["c.1"]
        membership = registries["c"].membership
        text = "this node is no member of cluster c1; to make it one: raftreg operator raft add c"
        for asked in (membership.change(Wish("add", "c")), membership.transfer(), membership.view()):
            with pytest.raises(Refused) as refused:
                await asked
            assert (409, f"{text}; ask a node that is a member (a, b)") == (
                refused.value.status,
                refused.value.text,
            )
        assert [text] == advice_on(cluster.nodes["c"].status())

    run(scenario)
