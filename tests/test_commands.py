"""The codec: what goes in comes out, and nothing else gets in."""

import contextlib
from collections.abc import Callable

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftreg import codec
from raftreg.commands import (
    Command,
    Failed,
    KVSet,
    Ok,
    Register,
    Request,
    Result,
    decode_batch,
    decode_request,
    decode_results,
    encode_batch,
    encode_request,
    encode_results,
)
from raftreg.errors import NewerFormat
from raftreg.model import Check, KVEntry, Node, Probe, Service, Session, Weights
from raftreg.records import decode_record, encode_record
from tests.state.strategies import commands, free_maps, free_values, restore_steps, text_maps

texts = st.text(max_size=8)
indexes = st.integers(0, 2**64 - 1)
full_nodes = st.builds(Node, texts, texts, texts, text_maps, text_maps, indexes, indexes)
full_services = st.builds(
    Service,
    texts,
    texts,
    texts,
    st.none() | st.lists(texts, max_size=3).map(tuple),
    texts,
    st.integers(-5, 70000),
    st.none() | st.dictionaries(texts, st.dictionaries(texts, free_values, max_size=2), max_size=2),
    text_maps,
    st.builds(Weights, st.integers(-1, 9), st.integers(-1, 9)),
    st.booleans(),
    free_maps,
    indexes,
    indexes,
)
full_probes = st.builds(
    Probe,
    texts,
    st.floats(0, 1e9),
    st.floats(0, 1e9),
    st.floats(0, 1e9),
    st.floats(0, 1e9),
    st.integers(0, 9),
    st.integers(0, 9),
    free_maps,
)
full_checks = st.builds(
    Check,
    texts,
    texts,
    texts,
    texts,
    definition=free_maps,
    probe=st.none() | full_probes,
    modify_index=indexes,
)
full_registrations = st.builds(
    Register,
    texts,
    st.none() | full_nodes,
    st.none() | full_services,
    st.lists(full_checks, max_size=2).map(tuple),
)
all_commands: st.SearchStrategy[Command] = commands | full_registrations | restore_steps
entries = st.builds(
    KVEntry, texts, st.binary(max_size=9), indexes, indexes, st.none() | texts, indexes, indexes
)
many_texts = st.lists(texts, max_size=3).map(tuple)
full_sessions = st.builds(
    Session,
    texts,
    texts,
    texts,
    st.sampled_from(("release", "delete")),
    texts,
    st.floats(0, 1e9),
    st.integers(-(2**63), 2**63 - 1),
    st.none() | many_texts,
    many_texts,
    st.none() | st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
    indexes,
    indexes,
)
results: st.SearchStrategy[Result] = st.builds(Ok, indexes, free_values) | st.builds(
    Failed, indexes, st.integers(400, 599), texts
)
DECODERS: tuple[Callable[[bytes], object], ...] = (
    decode_request,
    decode_batch,
    decode_results,
)


@given(st.binary(max_size=20), indexes, all_commands)
def test_request_round_trip(request_id: bytes, after: int, command: Command) -> None:
    """Every request comes back as it was, and its bytes are the same again."""
    request = Request(request_id, after, command)
    encoded = encode_request(request)
    assert request == decode_request(encoded)
    assert encoded == encode_request(decode_request(encoded))


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_batch_round_trip(requests: list[bytes]) -> None:
    """A batch gives its requests back in order, undecoded."""
    assert requests == decode_batch(encode_batch(requests))


@given(st.lists(results, max_size=5))
def test_results_round_trip(given_results: list[Result]) -> None:
    """Results come back as they were, in order."""
    assert given_results == decode_results(encode_results(given_results))


@given(entries | full_nodes | full_services | full_checks | full_sessions)
def test_record_round_trip(record: KVEntry | Node | Service | Check | Session) -> None:
    """Every record of the model comes back as it was."""
    assert record == decode_record(encode_record(record))


def only_value_error(decode: Callable[[bytes], object], data: bytes) -> None:
    """Decode; ValueError is fine, and NewerFormat for what begins as a newer release's; any other is not."""
    with contextlib.suppress(ValueError, NewerFormat):
        decode(data)


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_with_value_error(data: bytes) -> None:
    """Random bytes give ValueError or a value, never another exception."""
    for decode in DECODERS:
        only_value_error(decode, data)
        only_value_error(decode, bytes((codec.VERSION,)) + data)


anything = st.recursive(
    free_values | st.binary(max_size=4) | st.sampled_from((2**63, -(2**63), 0, 1, True)),
    lambda inner: (
        st.lists(inner, max_size=8) | st.dictionaries(texts | st.integers(-9, 9), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(anything, st.integers(0, 7), st.lists(anything, max_size=14))
def test_wrong_shapes_are_refused_with_value_error(value: object, number: int, fields: list[object]) -> None:
    """Well-formed msgpack of the wrong shape gives ValueError or a value, never another exception."""
    for row in (value, fields, [b"id", 0, number, fields], [number, fields], [[number, *fields]]):
        data = bytes((codec.VERSION,)) + msgpack.packb(row)
        for decode in DECODERS:
            only_value_error(decode, data)


@given(all_commands, st.data())
def test_damaged_requests_are_refused_with_value_error(command: Command, data: st.DataObject) -> None:
    """A byte changed, cut or added gives ValueError or another request, never another exception."""
    encoded = bytearray(encode_request(Request(b"x" * 16, 7, command)))
    place = data.draw(st.integers(0, len(encoded) - 1))
    cut = bytes(encoded[:place])
    with pytest.raises(ValueError, match="request"):
        decode_request(cut)
    with pytest.raises(ValueError, match="request"):
        decode_request(bytes(encoded) + b"\x00")
    encoded[place] = data.draw(st.integers(0, 255))
    only_value_error(decode_request, bytes(encoded))


@pytest.mark.parametrize(
    "data",
    [
        b"\x91" * 100_000,
        b"\x81\xa1a" * 100_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc7\x0c\xff" + b"\xff" * 12,
        b"\xd6\xff\xff\xff\xff\xff",
        b"\x81\x90\x90",
        b"\xc1",
    ],
    ids=[
        "nested arrays",
        "nested maps",
        "huge array",
        "huge bytes",
        "huge map",
        "timestamp",
        "small timestamp",
        "unhashable key",
        "reserved",
    ],
)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    """Huge lengths, deep nesting and extension types are refused before anything is allocated for them."""
    for decode in DECODERS:
        with pytest.raises(ValueError, match=r"malformed|not "):
            decode(bytes((codec.VERSION,)) + data)


def test_refusal_names_version_and_field() -> None:
    """The text of a refusal says what is wrong where."""
    with pytest.raises(NewerFormat, match="request of format version 9; this release knows 1"):
        decode_request(b"\x09\x90")
    with pytest.raises(ValueError, match="format version 0 is not supported"):
        decode_request(b"\x00\x90")
    with pytest.raises(ValueError, match="no bytes at all"):
        decode_request(b"")
    with pytest.raises(ValueError, match="KVSet: flags: not an unsigned 64 bit number"):
        decode_request(codec.pack((b"", 0, 0, ("key", b"", -1, None))))
    with pytest.raises(NewerFormat, match="command number 99; this release knows those up to"):
        decode_request(codec.pack((b"", 0, 99, ())))
    with pytest.raises(ValueError, match="KVSet is not an array of 4 fields"):
        decode_request(codec.pack((b"", 0, 0, ("key", b"", 0, None, "more"))))


@pytest.mark.parametrize(
    "command",
    [
        KVSet("\ud800", b""),
        KVSet("a", b"", 2**64),
        Register("n", service=Service("n", "s", "s", extra={"a": object()})),
        Register("n", service=Service("n", "s", "s", extra={"a": float("nan")})),
    ],
    ids=["lone surrogate", "65 bit", "foreign object", "not a number"],
)
def test_what_cannot_be_encoded_is_refused(command: Command) -> None:
    """What could not be decoded again is refused before the log, and does not disturb what is encoded next."""
    with pytest.raises(ValueError, match=r"cannot be encoded|not a"):
        encode_request(Request(b"", 0, command))
    request = Request(b"", 0, KVSet("a", b""))
    assert request == decode_request(encode_request(request))


def test_nesting_that_could_not_be_decoded_is_refused() -> None:
    """Free-form fields may nest to a depth that is the same for both directions."""

    def nested(depth: int) -> Request:
        value: object = None
        for _ in range(depth):
            value = [value]
        return Request(b"", 0, Register("n", service=Service("n", "s", "s", extra={"a": value})))

    fine = nested(codec.DEPTH_MAX)
    assert fine == decode_request(encode_request(fine))
    with pytest.raises(ValueError, match="nested deeper"):
        encode_request(nested(codec.DEPTH_MAX + 1))


def test_key_of_any_bytes_round_trip() -> None:
    """A key that is not UTF-8 travels as its own bytes."""
    key = b"\xff\x00caf\xc3".decode("utf-8", "surrogateescape")
    request = Request(b"", 0, KVSet(key, b""))
    assert request == decode_request(encode_request(request))
