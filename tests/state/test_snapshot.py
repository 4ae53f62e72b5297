"""Dumps that are not dumps, and what a log entry may hold."""

import contextlib
from io import BytesIO

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftreg import codec
from raftreg import commands as commands_module
from raftreg.cluster_commands import LevelRaise
from raftreg.commands import (
    Failed,
    KVLock,
    KVSet,
    Ok,
    Register,
    Request,
    SessionCreate,
    SessionDestroy,
    SessionsKeep,
    decode_batch,
    encode_batch,
    encode_request,
)
from raftreg.errors import NewerFormat
from raftreg.model import Check, Node, Service, Session
from raftreg.state import State, queries
from raftreg.state.machine import FORGOTTEN
from raftreg.state.snapshot import BYTES_PER_SLICE, ROWS_PER_SLICE
from raftreg.transactions import KVOperand, Operation, Transaction
from tests.state.strategies import commands, requests_of


def small_state() -> State:
    """A state with something in every table."""
    state = State()
    state.apply(Request(b"1", 0, KVSet("a", b"x")))
    checks = (Check("n", "c", "c", service_id="web"),)
    service = Service("n", "web", "web", ("x",), extra={"Kind": "typical", "Proxy": {"a": [1, 2.5, None]}})
    state.apply(Request(b"2", 0, Register("n", Node("n", "id", "10.0.0.1"), service, checks)))
    for session in (Session("s1", "n", lock_delay_ns=5), Session("s2", "n", "name", "delete", "10s", 10.0)):
        state.apply(Request(b"c" + session.id.encode(), 0, SessionCreate(session)))
        state.apply(Request(b"l" + session.id.encode(), 0, KVLock(session.id, b"x", 0, session.id)))
    state.apply(Request(b"3", 0, SessionDestroy("s1")))
    return state


SMALL = small_state().dump()


@given(st.integers(0, len(SMALL) - 1), st.integers(0, 255))
def test_damaged_dump_is_refused_with_value_error(place: int, byte: int) -> None:
    """A changed byte gives an error or another state that dumps again, and a refused dump changes nothing."""
    state = small_state()
    damaged = bytearray(SMALL)
    damaged[place] = byte
    try:
        state.load(bytes(damaged))
    except (ValueError, NewerFormat):
        assert state.dump() == SMALL
    else:
        state.load(state.dump())


def test_cut_or_longer_dump_is_refused() -> None:
    """Every proper prefix of a dump is refused, and so is a dump with something behind it."""
    state = State()
    empty = state.dump()
    for size in range(len(SMALL)):
        with pytest.raises(ValueError, match="state"):
            state.load(SMALL[:size])
    with pytest.raises(ValueError, match="state"):
        state.load(SMALL + b"\x00")
    assert empty == state.dump()


@given(st.binary(max_size=60))
def test_random_bytes_are_no_dump(data: bytes) -> None:
    """Random bytes give ValueError, or NewerFormat if they begin as a newer one would, never another exception."""
    with pytest.raises((ValueError, NewerFormat), match="state"):
        State().load(data)
    with pytest.raises(ValueError, match="state"):
        State().load(bytes((codec.VERSION,)) + data)


def test_dump_of_another_version_is_refused() -> None:
    """The version is the first byte, and only this release's is taken; later ones are told apart."""
    with pytest.raises(ValueError, match="format version"):
        State().load(bytes((codec.VERSION - 1,)) + SMALL[1:])
    with pytest.raises(NewerFormat, match="format version 2; this release knows 1"):
        State().load(bytes((codec.VERSION + 1,)) + SMALL[1:])


def test_level_is_in_the_dump_once_it_was_raised() -> None:
    """It never falls. At the first level the dump is one that releases without levels can read."""
    state = State()
    former = state.dump()
    assert 17 == len(msgpack.Unpacker(BytesIO(former[1:])).unpack())
    for number, (wish, level) in enumerate(((2, 2), (1, 2))):
        (applied,) = state.apply_entry(
            encode_batch([encode_request(Request(b"%d" % number, 0, LevelRaise(wish)))])
        )
        assert isinstance(applied.result, Ok)
        assert (level, level) == (applied.result.value, state.level)
    other = State()
    other.load(state.dump())
    assert (2, state.dump()) == (other.level, other.dump())
    other.load(former)
    assert other.level == 1
    archive = State()
    archive.load(b"".join(state.freeze_archive()()))
    assert archive.level == 1


def test_dump_with_more_counters_than_known_is_a_newer_one() -> None:
    """A release that adds a counter writes it at the end of the header; without knowing it nothing can be said."""
    unpacker = msgpack.Unpacker(BytesIO(SMALL[1:]))
    header = [*unpacker.unpack(), 1, 7]
    rest = SMALL[1 + unpacker.tell() :]
    with pytest.raises(NewerFormat, match="a header of 19 counters; this release knows 18"):
        State().load(SMALL[:1] + msgpack.packb(header) + rest)
    with pytest.raises(ValueError, match="19 counters"):
        State().check_archive(SMALL[:1] + msgpack.packb(header) + rest)


def test_entry_with_a_command_of_a_newer_release_changes_nothing() -> None:
    """Not even what stands before it in the same entry: it is applied whole, by a release that knows all of it."""
    state = State()
    known = encode_request(Request(b"1", 0, SessionsKeep()))
    level = msgpack.packb([b"3", 0, _LAST_COMMAND, [99]])
    for newer in (b"\x01" + msgpack.packb([b"2", 0, 200, []]), b"\x02\x90", b"\x01" + level):
        with pytest.raises(NewerFormat, match="this release knows"):
            state.apply_entry(encode_batch([known, newer]))
        assert (1, State().digest()) == (state.index, state.digest())


_LAST_COMMAND = 26


def test_numbers_of_commands_stay() -> None:
    """Logs on disk hold them."""
    assert (
        _LAST_COMMAND
        == commands_module._COMMAND_NUMBER[LevelRaise]
        == max(commands_module._COMMAND_NUMBER.values())
    )


@pytest.mark.parametrize(
    ("section", "text"),
    [(2, "names a node that is not there"), (15, "locked by a session that is not there")],
    ids=["node", "session"],
)
def test_dump_that_contradicts_itself_is_refused(section: int, text: str) -> None:
    """A service on a node that is not there is refused, and a key that a session holds that is not there."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(SMALL[1:])
    header, *parts = unpacker
    kept = [part for part in parts if part[0] != section]
    (left_out,) = (rows for number, rows in parts if number == section)
    kept[-1] = [-1, parts[-1][1] - len(left_out)]
    data = SMALL[:1] + b"".join(msgpack.packb(part) for part in (header, *kept))
    with pytest.raises(ValueError, match=text):
        State().load(data)


def test_dump_is_made_of_small_pieces() -> None:
    """No piece has more than a few hundred rows, and with large values there are fewer."""
    state = State()
    large = b"x" * (BYTES_PER_SLICE // 8)
    for number in range(ROWS_PER_SLICE + 10):
        state.apply(Request(b"%d" % number, 0, KVSet(f"k{number:04d}", large if number < 10 else b"")))
    data = state.dump()
    unpacker = msgpack.Unpacker(max_buffer_size=len(data))
    unpacker.feed(data[1:])
    sizes = [len(rows) for number, rows in list(unpacker)[1:-1] if number == 0]
    assert [8, ROWS_PER_SLICE - 8, 10] == sizes
    other = State()
    other.load(data)
    assert data == other.dump()


def test_large_remembered_results_come_in_small_pieces() -> None:
    """What transactions read is remembered with them, so a few hundred results may be as large as a state."""
    state = State()
    state.apply(Request(b"set", 0, KVSet("k", b"x" * (BYTES_PER_SLICE // 2))))
    for number in range(20):
        state.apply(Request(b"%d" % number, 0, Transaction((Operation("get", KVOperand("k")),))))
    pieces = list(state.freeze()())
    assert 20 * BYTES_PER_SLICE // 2 < sum(map(len, pieces))
    assert max(map(len, pieces)) < 2 * BYTES_PER_SLICE


@given(st.lists(requests_of(commands) | st.binary(max_size=10), max_size=8))
def test_entry_of_anything_is_applied(items: list[Request | bytes]) -> None:
    """Whatever a batch holds, each item takes a number and has a result, and what is well-formed is applied."""
    state = State()
    batch = [item if isinstance(item, bytes) else encode_request(item) for item in items]
    try:
        applied = state.apply_entry(encode_batch(batch))
    except NewerFormat:
        assert state.index == 1
        return
    assert len(items) == len(applied)
    assert 1 + len(items) == state.index
    for item, outcome in zip(items, applied, strict=True):
        if isinstance(item, bytes):
            assert isinstance(outcome.result, Failed)
            assert outcome.result.status == 500
            assert outcome.topics == ()


@given(st.binary(max_size=60))
def test_random_entry_is_one_recorded_failure(data: bytes) -> None:
    """Bytes that are no batch, nor begin as a newer one, give one Failed result with a number of its own."""
    state = State()
    with contextlib.suppress(ValueError):
        with contextlib.suppress(NewerFormat):
            decode_batch(data)
        return
    (applied,) = state.apply_entry(data)
    assert isinstance(applied.result, Failed)
    assert (2, 500) == (applied.result.index, applied.result.status)


def test_forgotten_request_says_that_its_outcome_is_unknown() -> None:
    """A request older than the memory of results is refused, and is refused again when it is repeated."""
    state = State(results_max=2)
    old = Request(b"old", 1, KVSet("a", b"x"))
    assert Ok(2, True) == state.apply(old).result
    for number in range(2):
        state.apply(Request(b"%d" % number, state.index, KVSet("b", b"%d" % number)))
    assert Failed(5, 500, FORGOTTEN) == state.apply(old).result
    assert Failed(5, 500, FORGOTTEN) == state.apply(old).result
    assert queries.KVGet("a").run(state).index == 2


def test_refusals_that_quote_what_came_are_short() -> None:
    """Results are remembered by the ten thousands, so that a name of a megabyte must not be kept with each."""
    state = small_state()
    session = Session("s3", "n", node_checks=("x" * 1_000_000,))
    result = state.apply(Request(b"refused", 1, SessionCreate(session))).result
    assert isinstance(result, Failed)
    assert result.text.startswith("Missing check 'xxx")
    assert 5000 > len(state.dump())
