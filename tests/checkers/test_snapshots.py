"""Transactions: snapshots of one moment, in one order, new enough; no lost update; small ones by brute force."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftreg.checkers.history import Operation
from raftreg.checkers.snapshots import Snapshot, Transfer, check
from tests.checkers.histories import op

OPENING = {"a": "10:a0", "b": "10:b0", "c": "10:c0"}
TOTAL = 30


def transfer(
    span: tuple[float, float | None],
    replaced: dict[str, str],
    written: dict[str, str],
    ok: bool | None = True,
) -> Transfer:
    """One transaction; without an end its outcome is unknown."""
    return Transfer(op(1, "transfer", span, ok=ok), replaced, written)


def snapshot(span: tuple[float, float], may_lag: bool = False, **versions: str) -> Snapshot:
    """One read of all accounts; those not named as they were in the beginning."""
    shown = OPENING | versions
    amounts = {account: int(version.split(":")[0]) for account, version in shown.items()}
    return Snapshot(op(2, "read", span), shown, amounts, may_lag)


ONE = transfer((0, 1), {"a": "10:a0", "b": "10:b0"}, {"a": "7:a1", "b": "13:b1"})
TWO = transfer((2, 3), {"b": "13:b1", "c": "10:c0"}, {"b": "12:b2", "c": "11:c2"})
ASIDE = transfer((2, None), {"c": "10:c0", "b": "10:b0"}, {"c": "4:c9", "b": "16:b9"})
BOTH = [ONE, TWO]


@pytest.mark.parametrize(
    ("transfers", "snapshots", "kinds"),
    [
        ([], [snapshot((0, 1))], []),
        (BOTH, [snapshot((4, 5), a="7:a1", b="12:b2", c="11:c2")], []),
        (BOTH, [snapshot((0.5, 5))], []),
        (BOTH, [snapshot((4, 5), may_lag=True)], []),
        (BOTH, [snapshot((4, 5))], ["stale"]),
        (BOTH, [snapshot((4, 5), a="7:a1", b="13:b1")], ["stale"]),
        (BOTH, [snapshot((0.5, 5), b="13:b1")], ["torn"]),
        (BOTH, [snapshot((0.5, 5), may_lag=True, b="12:b2", c="11:c2")], ["torn"]),
        (BOTH, [snapshot((0.5, 5), a="8:who", b="12:b2")], ["unwritten"]),
        (
            [ONE],
            [snapshot((2, 3), a="7:a1", b="13:b1"), snapshot((0.1, 9))],
            [],
        ),
        ([ONE], [snapshot((0.2, 0.3), a="7:a1", b="13:b1"), snapshot((0.4, 0.5))], ["stale"]),
        ([ONE, ASIDE], [snapshot((3, 4), a="7:a1", b="13:b1")], []),
        (
            [ONE, transfer((2, 3), {"a": "10:a0", "c": "10:c0"}, {"a": "9:a8", "c": "11:c8"})],
            [],
            ["twice"],
        ),
        (
            [transfer((0, 9), {"a": "10:a0"}, {"a": "9:x"}), transfer((0, 9), {"b": "10:b0"}, {"b": "9:y"})],
            [
                Snapshot(op(2, "read", (1, 8)), OPENING | {"a": "9:x"}, {"all": TOTAL}),
                Snapshot(op(3, "read", (1, 8)), OPENING | {"b": "9:y"}, {"all": TOTAL}),
            ],
            ["forked"],
        ),
        (
            [transfer((0, 1), {"a": "10:a0", "b": "10:b0"}, {"a": "7:a1", "b": "14:b1"})],
            [snapshot((2, 3), a="7:a1", b="14:b1")],
            ["total"],
        ),
    ],
)
def test_each_fault_is_told_by_its_kind(
    transfers: list[Transfer], snapshots: list[Snapshot], kinds: list[str]
) -> None:
    """A correct history has none; the calls that show a fault come with it."""
    faults = check(OPENING, TOTAL, transfers, snapshots)
    assert kinds == [fault.kind for fault in faults]
    assert all(fault.calls and str(fault) for fault in faults)


def explained(transfers: list[Transfer], snapshots: list[Snapshot]) -> bool:
    """Strict serializability by its definition: some order of all calls gives every answer."""
    known = [each for each in transfers if each.call.known]
    maybe = [each for each in transfers if not each.call.known and each.call.ok is not False]

    def go(state: dict[str, str], left: list[Transfer | Snapshot]) -> bool:
        if not any(each.call.known for each in left):
            return True
        first_end = min(each.call.ended_s for each in left)
        for each in left:
            if each.call.invoked_s > first_end:
                continue
            others = [other for other in left if other is not each]
            if isinstance(each, Snapshot):
                if dict(each.versions) == state and go(state, others):
                    return True
            elif all(state[account] == version for account, version in each.replaced.items()) and go(
                state | dict(each.written), others
            ):
                return True
        return False

    return go(dict(OPENING), [*known, *maybe, *snapshots])


def random_history(seed: int, count: int, spoil: bool) -> tuple[list[Transfer], list[Snapshot]]:
    """A serial bank whose calls take time; with `spoil` a snapshot shows an account as it was some time ago."""
    chance = random.Random(seed)
    state, past = dict(OPENING), [dict(OPENING)]
    transfers, snapshots = [], []
    for number in range(1, count + 1):
        span = (number - chance.random() * 2, number + chance.random() * 2)
        if chance.random() < 0.5:
            giver, taker = chance.sample("abc", 2)
            replaced = {giver: state[giver], taker: state[taker]}
            written = {
                account: f"{int(state[account].split(':')[0]) + change}:{account}{number}"
                for account, change in ((giver, -1), (taker, 1))
            }
            state = state | written
            past.append(state)
            lost = chance.random() < 0.2
            transfers.append(transfer((span[0], None if lost else span[1]), replaced, written))
        else:
            shown = dict(state)
            if spoil and chance.random() < 0.5:
                shown[chance.choice("abc")] = chance.choice(past)[chance.choice("abc")]
                shown = {account: version for account, version in shown.items() if account in version}
            snapshots.append(snapshot(span, False, **shown))
    return transfers, snapshots


@given(st.integers(0, 100_000), st.booleans())
@settings(max_examples=400, deadline=None)
def test_the_count_agrees_with_the_definition(seed: int, spoil: bool) -> None:
    """For every small history, correct or spoilt, both say the same."""
    transfers, snapshots = random_history(seed, 8, spoil)
    assert explained(transfers, snapshots) == (not check(OPENING, TOTAL, transfers, snapshots))


def test_thousands_of_transactions_are_judged_quickly() -> None:
    """The time grows with the length of the history, not faster; a spoilt one is found."""
    assert [] == check(OPENING, TOTAL, *random_history(1, 10_000, spoil=False))
    assert check(OPENING, TOTAL, *random_history(1, 10_000, spoil=True))


def test_a_refused_transfer_that_is_seen_is_a_fault() -> None:
    """What did not happen must not show."""
    refused = Transfer(Operation(1, "transfer", "k", None, None, 0, 1, False), ONE.replaced, ONE.written)
    (fault,) = check(OPENING, TOTAL, [refused], [snapshot((2, 3), a="7:a1", b="13:b1")])
    assert "unwritten" == fault.kind
