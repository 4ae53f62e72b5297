"""Transactions: all or nothing, in one command, with a memory of outcomes that is bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftreg.commands import Command, Failed, KVDelete, KVSet, Ok, Request
from raftreg.state import State, queries, transactions
from raftreg.state.changes import Changes
from raftreg.state.results import LARGE_BYTES_MAX, Results
from raftreg.state.transaction_queries import TransactionRead
from raftreg.transactions import (
    KVOperand,
    Operation,
    OperationError,
    Outcome,
    Transaction,
    decode_outcome,
    encode_outcome,
)
from tests.state.strategies import commands, operations, session_commands
from tests.state.test_properties import answers


def applied(state: State, command: Command) -> Ok | Failed:
    """Apply a command under an id of its own."""
    return state.apply(Request(b"%d" % state.index, state.index, command)).result


def outcome_of(state: State, *steps: Operation) -> Outcome:
    """What a transaction gives."""
    result = applied(state, Transaction(steps))
    assert isinstance(result, Ok)
    assert isinstance(result.value, bytes)
    return decode_outcome(result.value)


@given(st.lists(commands | session_commands, max_size=20), st.lists(operations, max_size=6).map(tuple))
def test_transaction_is_its_operations_in_order_or_nothing(
    sequence: list[Command], steps: tuple[Operation, ...]
) -> None:
    """It gives what its operations give one after the other; if one fails, no answer to any query is different."""
    state = State()
    for command in sequence:
        applied(state, command)
    plain = State()
    plain.load(state.dump())
    before = answers(state)
    expected = transactions.run(plain.core, Changes(state.index + 1), steps)
    assert expected == outcome_of(state, *steps)
    assert (before if expected.errors else answers(plain)) == answers(state)
    twin = State()
    twin.load(state.dump())
    assert state.digest() == twin.digest()


@given(st.lists(commands, max_size=20), st.lists(operations, max_size=6).map(tuple))
def test_reading_transaction_changes_nothing(sequence: list[Command], steps: tuple[Operation, ...]) -> None:
    """Operations that only read give the same through the log and without it, and change nothing."""
    state = State()
    for command in sequence:
        applied(state, command)
    reads = tuple(step for step in steps if not transactions.writes(step))
    digest = state.digest()
    found = TransactionRead(reads).run(state)
    assert (state.index, digest) == (found.index, state.digest())
    assert found.value == outcome_of(state, *reads)


def test_outcome_that_is_too_large_is_refused_before_anything_is_done() -> None:
    """What could not be carried between nodes is refused, and its writes with it."""
    state = State()
    for number in range(3):
        applied(state, KVSet(f"big/{number}", b"x" * 400_000))
    steps = (Operation("set", KVOperand("a", b"1")), Operation("get-tree", KVOperand("big/")))
    result = applied(state, Transaction(steps))
    assert isinstance(result, Failed)
    assert (413, True) == (result.status, result.text.startswith("Transaction result("))
    assert queries.KVGet("a").run(state).value is None


def test_repeated_transaction_tells_its_first_outcome() -> None:
    """A transaction that comes again is not carried out again."""
    state = State()
    request = Request(b"id", 1, Transaction((Operation("cas", KVOperand("a", b"1", index=0)),)))
    first = state.apply(request).result
    assert first == state.apply(request).result
    assert isinstance(first, Ok)
    assert isinstance(first.value, bytes)
    assert not decode_outcome(first.value).errors


@pytest.mark.parametrize("reload", [False, True], ids=["same", "loaded"])
def test_memory_of_large_outcomes_is_bounded(reload: bool) -> None:
    """Beyond a limit the oldest large outcomes are emptied; small results stay; a loaded memory goes on the same."""
    size = LARGE_BYTES_MAX // 4
    results = Results(100)
    results.remember(b"small", Ok(1, b"x"))
    for number in range(4):
        results.remember(b"%d" % number, Ok(2 + number, b"x" * size))
    if reload:
        results = Results(100, 0, results.copy().items())
    results.remember(b"one more", Ok(9, b"y" * size))
    assert Ok(1, b"x") == results.find(b"small")
    assert Ok(2, b"") == results.find(b"0")
    assert Ok(3, b"x" * size) == results.find(b"1")
    assert Ok(9, b"y" * size) == results.find(b"one more")


def test_forgotten_large_outcomes_leave_room() -> None:
    """A large outcome that is forgotten with its age does not count any more."""
    size = LARGE_BYTES_MAX // 2
    results = Results(2)
    for number in range(6):
        results.remember(b"%d" % number, Ok(number, b"x" * size))
        results.remember(b"small %d" % number, Ok(number, True))
        assert Ok(number, b"x" * size) == results.find(b"%d" % number)
    assert 2 == len(results.copy())


def test_outcome_round_trip() -> None:
    """Errors and records of every kind come back as they were; other bytes are refused."""
    state = State()
    outcome_of(state, Operation("set", KVOperand("\udcff", b"\x00")))
    applied(state, KVDelete("b"))
    outcome = Outcome(errors=(OperationError(3, 'key "\udcff" exists'),))
    assert outcome == decode_outcome(encode_outcome(outcome))
    full = outcome_of(state, Operation("get", KVOperand("\udcff")))
    assert b"\x00" == full.results[0].value  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="outcome"):
        decode_outcome(b"\x01\x90")
