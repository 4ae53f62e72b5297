"""Restoring an archived state: all of it or nothing, with every index above those that were handed out."""

import io
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import cast

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftreg.cluster_commands import RestoreAbandon, RestoreBegin, RestoreChunk, RestoreCommit
from raftreg.codec import new_packer
from raftreg.commands import (
    Command,
    Failed,
    KVLock,
    KVSet,
    LockDelaysEnd,
    Ok,
    Request,
    encode_batch,
    encode_request,
)
from raftreg.model import PreparedQuery, ServiceQuery
from raftreg.query_commands import QueryPut
from raftreg.state import EVERYTHING, State
from raftreg.state.cluster_queries import RecentEvents, RestoreProgress
from raftreg.state.queries import LockDelays
from raftreg.state.restore import RESERVE
from tests.state.restores import chunks_of, restore_commands
from tests.state.strategies import all_queries, commands
from tests.state.test_snapshot import small_state

QUERIES = all_queries()


def apply_all(state: State, sequence: list[Command]) -> list[object]:
    """Apply commands; the results."""
    results: list[object] = []
    for command in sequence:
        request_id = b"%d" % state.index
        results.append(state.apply(Request(request_id, state.index, command)).result)
    return results


def content(value: object) -> object:
    """A value without its modify_index, which a restore raises."""
    if isinstance(value, tuple | list):
        return [content(item) for item in value]
    if is_dataclass(value):
        shown = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: content(item) for name, item in shown.items() if name != "modify_index"}
    return value


@settings(max_examples=40, deadline=None)
@given(st.lists(commands, max_size=15), st.lists(commands, max_size=15), st.integers(1, 400))
def test_restored_state_answers_as_the_archived_one(
    before: list[Command], after: list[Command], chunk_size: int
) -> None:
    """Every answer is that of the time of the archive, and every index is above all that were handed out."""
    state = State()
    apply_all(state, before)
    archived = {query: content(query.run(state).value) for query in QUERIES}
    restore = list(restore_commands(state.dump(), chunk_size=chunk_size))
    apply_all(state, after)
    handed_out = state.index + len(restore)
    assert all(isinstance(result, Ok) for result in apply_all(state, restore))
    for query in QUERIES:
        found = query.run(state)
        if not isinstance(query, RecentEvents):
            assert archived[query] == content(found.value)
        if isinstance(query, RecentEvents):
            continue
        assert found.index > handed_out
    twin = State()
    twin.load(state.dump())
    assert state.digest() == twin.digest()


@settings(max_examples=30, deadline=None)
@given(st.lists(commands, max_size=10), st.integers(0, 30))
def test_replica_that_begins_within_a_restore_ends_equal(before: list[Command], place: int) -> None:
    """A replica that loaded a snapshot in the middle of a restore becomes what the others become."""
    state, late = State(), State()
    apply_all(state, before)
    sequence = [*restore_commands(state.dump()), KVSet("after", b"x")]
    for number, command in enumerate(sequence):
        request = Request(b"r%d" % number, state.index, command)
        result = state.apply(request).result
        if number > place:
            assert result == late.apply(request).result
        elif number == place:
            late.load(state.dump())
    if place < len(sequence):
        assert state.digest() == late.digest()


def test_waiters_are_all_woken_and_the_memory_of_results_stays() -> None:
    """The last command names everything; a request that was applied before the restore is not applied again."""
    state = State()
    dump = small_state().dump()
    first = Request(b"first", 1, KVSet("k", b"1"))
    told = state.apply(first).result
    *parts, commit = restore_commands(dump)
    apply_all(state, parts)
    index = state.index
    applied = state.apply(Request(b"commit", index, commit))
    assert ((EVERYTHING,), Ok(state.index, True)) == (applied.topics, applied.result)
    assert told == state.apply(first).result
    assert None is state.kv.get("k")
    assert RESERVE < state.index
    assert None is RestoreProgress().run(state).value


def test_damaged_parts_change_nothing() -> None:
    """A part that is no dump ends the restore; what there was before stays as it was."""
    state = small_state()
    before = state.kv.get("a")
    begin, first, *_ = restore_commands(small_state().dump())
    assert isinstance(first, RestoreChunk)
    results = apply_all(state, [begin, RestoreChunk("r", 0, first.data[:-1]), first])
    assert [Ok, Failed, Failed] == [type(result) for result in results]
    assert before == state.kv.get("a")
    assert None is RestoreProgress().run(state).value


@pytest.mark.parametrize("missing", [1, 2, -2])
def test_incomplete_restore_is_refused(missing: int) -> None:
    """A part that is missing, or came out of order, is noticed."""
    state = State()
    sequence = list(restore_commands(small_state().dump(), chunk_size=1))
    del sequence[missing]
    apply_all(state, [*sequence, KVSet("k", b"1")])
    assert None is state.kv.get("a")
    assert None is not state.kv.get("k")


def test_truncated_dump_with_a_right_digest_is_refused() -> None:
    """Even when all arrived that was sent: without its end a dump is none."""
    dump = small_state().dump()
    end = list(chunks_of(dump, 1))[-1]
    state = State()
    results = apply_all(state, list(restore_commands(dump[: -len(end)], chunk_size=10_000)))
    assert isinstance(results[-1], Failed)
    assert "the end is missing" in results[-1].text
    assert None is state.kv.get("a")


def forged(state: State, edit: Callable[[list[int], dict[int, list[list[object]]]], None]) -> bytes:
    """The dump of a state with its header and its rows by section as `edit` leaves them."""
    header, *pieces, _ = msgpack.Unpacker(io.BytesIO(state.dump()[1:]), unicode_errors="surrogateescape")
    rows = dict[int, list[list[object]]](pieces)
    edit(header, rows)
    end = (-1, sum(map(len, rows.values())))
    return b"\1" + b"".join(map(new_packer(), [header, *rows.items(), end]))


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [(0, 1, b"y"), (2, 1, "other"), (3, 2, "db"), (4, 6, ""), (15, 8, ["c"]), (17, 0, "q2"), (17, 1, "n2")],
)
def test_records_that_are_there_twice_are_refused(section: int, field: int, value: object) -> None:
    """A dump whose records say two things of one key, node, service, check, session or query changes nothing."""
    source = small_state()
    apply_all(source, [QueryPut(PreparedQuery("q1", "n", ServiceQuery("web")))])

    def twin(_: list[int], rows: dict[int, list[list[object]]]) -> None:
        rows[section].append([*rows[section][0][:field], value, *rows[section][0][field + 1 :]])

    dump = forged(source, twin)
    state = State()
    with pytest.raises(ValueError, match=r"twice|same name|indexes"):
        state.check_archive(dump)
    results = apply_all(state, list(restore_commands(dump)))
    assert isinstance(results[-1], Failed)
    assert None is state.kv.get("a")


def test_numbers_that_leave_no_room_are_refused_or_wrap() -> None:
    """Whatever an archive says of its own index, or of how often a lock was taken, the state can be dumped later."""

    def huge(header: list[int], rows: dict[int, list[list[object]]]) -> None:
        header[0] = 2**64 - RESERVE
        rows[0][0][3] = 2**64 - 1

    dump = forged(small_state(), huge)
    state = State()
    begin, *rest = restore_commands(dump)
    (refused,) = state.apply_entry(encode_batch([encode_request(Request(b"r", 1, begin))]))
    assert "too large a number" in str(refused.result)
    apply_all(state, [replace(cast("RestoreBegin", begin), index=1), *rest, KVLock("a", b"x", 0, "s2")])
    assert 0 == state.kv.entries[b"a"].lock_index
    State().load(state.dump())


def test_lock_delays_begin_anew_with_a_restore() -> None:
    """One that ended already, and comes back, is told apart from the one that ended: it has a number of its own."""
    state = small_state()
    (delay,) = LockDelays().run(state).value
    apply_all(state, [*restore_commands(state.dump()), LockDelaysEnd((delay[::2],))])
    assert ((delay[0], delay[1], state.index - 1),) == LockDelays().run(state).value


def test_later_restore_takes_the_place_of_an_earlier_one() -> None:
    """Only the restore that began last may end; what it did not bring is not there."""
    state = State()
    *old, old_commit = restore_commands(small_state().dump(), "old")
    new = list(restore_commands(State().dump(), "new"))
    apply_all(state, [*old, new[0]])
    assert isinstance(apply_all(state, [old_commit])[0], Failed)
    assert all(isinstance(result, Ok) for result in apply_all(state, new[1:]))
    assert None is state.kv.get("a")


def test_abandoned_restore_leaves_nothing_behind() -> None:
    """What was collected is dropped by the id of its restore, and by no other."""
    state = State()
    clean = len(state.dump())
    apply_all(state, list(restore_commands(small_state().dump()))[:-1])
    assert ("r", 2) <= (RestoreProgress().run(state).value or ("", 0))
    assert [Ok(state.index + 1, False)] == apply_all(state, [RestoreAbandon("other")])
    assert [Ok(state.index + 1, True)] == apply_all(state, [RestoreAbandon("r")])
    assert None is RestoreProgress().run(state).value
    assert len(state.dump()) < clean + 400


def test_too_many_writes_meanwhile_refuse_the_restore() -> None:
    """The number that was reserved for the restored indexes must still be above all others."""
    state = State()
    begin, *rest = restore_commands(small_state().dump())
    apply_all(state, [begin])
    state.index += 2 * RESERVE
    results = apply_all(state, rest)
    assert isinstance(results[-1], Failed)
    assert "try again" in results[-1].text
    assert None is state.kv.get("a")


def test_commit_of_nothing_is_refused() -> None:
    """A restore that never began cannot end."""
    state = State()
    assert isinstance(apply_all(state, [RestoreCommit("r", "")])[0], Failed)
    assert isinstance(apply_all(state, [RestoreBegin("r", 1), RestoreCommit("r", "")])[1], Failed)
