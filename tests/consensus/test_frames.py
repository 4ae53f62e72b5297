"""Frames: whole messages in, whole messages out; anything else is an error of that connection only."""

import itertools
import pickle
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftreg.consensus.frames import (
    HANDSHAKE_LIMIT_BYTES,
    MESSAGE_LIMIT_BYTES,
    FrameDecoder,
    ProtocolError,
    encode_frame,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.binary(max_size=50)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
MESSAGES = st.lists(VALUES, max_size=6)


def frame(body: bytes) -> bytes:
    """A frame around any bytes."""
    return struct.pack(">I", len(body)) + body


def decoded(data: bytes, limit: int = MESSAGE_LIMIT_BYTES) -> list[list[Any]]:
    """All messages in `data`."""
    decoder = FrameDecoder(limit)
    decoder.feed(data)
    return decoder.take()


@settings(max_examples=60, deadline=None)
@given(messages=st.lists(MESSAGES, max_size=5), cuts=st.lists(st.integers(0, 400)))
def test_messages_survive_any_cut(messages: list[list[Any]], cuts: list[int]) -> None:
    """However the stream is cut into pieces, the same messages come out."""
    data = b"".join(map(encode_frame, messages))
    decoder = FrameDecoder(MESSAGE_LIMIT_BYTES)
    found: list[list[Any]] = []
    borders = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in itertools.pairwise(borders):
        decoder.feed(data[start:end])
        found += decoder.take()
    assert messages == found


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300))
def test_random_bytes_give_messages_or_a_protocol_error(data: bytes) -> None:
    """No bytes make the decoder raise anything else, or give anything but arrays."""
    try:
        messages = decoded(data) + decoded(frame(data))
    except ProtocolError:
        return
    assert all(type(message) is list for message in messages)


def test_long_frame_is_refused_by_its_length() -> None:
    """A frame above the limit is an error when its first four bytes are there; the limit can be raised."""
    decoder = FrameDecoder()
    decoder.feed(struct.pack(">I", HANDSHAKE_LIMIT_BYTES + 1))
    with pytest.raises(ProtocolError, match="at most 4096"):
        decoder.next()
    decoder.limit = MESSAGE_LIMIT_BYTES
    assert decoder.next() is None


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request", b"GET / HTTP/1.1", b"PUT /v1/kv/a HTTP/1.1"])
def test_http_is_told_from_other_noise(data: bytes) -> None:
    """The port of the API and that of Raft are easily mistaken for each other."""
    decoder = FrameDecoder()
    decoder.feed(data)
    with pytest.raises(ProtocolError, match="that is HTTP: the Raft port is another"):
        decoder.next()


def test_next_leaves_what_follows() -> None:
    """Messages can be taken one by one, so that the limit is raised between two."""
    decoder = FrameDecoder()
    decoder.feed(encode_frame(["ready"]) + encode_frame([b"x" * 5000]))
    assert ["ready"] == decoder.next()
    decoder.limit = MESSAGE_LIMIT_BYTES
    assert [b"x" * 5000] == decoder.next()


@pytest.mark.parametrize(
    "data",
    [
        frame(b""),
        frame(msgpack.packb({"a": 1})),
        frame(msgpack.packb(7)),
        frame(msgpack.packb([msgpack.ExtType(5, b"code")])),
        frame(msgpack.packb([1]) + b"\x01"),
        frame(b"\x91" * 2000),
        frame(b"\xdd\xff\xff\xff\xff"),
        frame(msgpack.packb(["\ud800"], unicode_errors="surrogatepass")),
        frame(b"\x91\x81\x90\x01"),
        frame(pickle.dumps(["hello"])),
        pickle.dumps(["hello"] * 3),
    ],
    ids=[
        "empty",
        "map",
        "number",
        "ext",
        "rest",
        "deep",
        "huge-array",
        "surrogate",
        "list-key",
        "pickle",
        "raw-pickle",
    ],
)
def test_what_is_no_array_is_refused(data: bytes) -> None:
    """Empty frames, other types, extension types, nested depths, claimed sizes, text that is none, pickles."""
    with pytest.raises(ProtocolError):
        decoded(data)


def test_message_above_the_limit_is_not_sent() -> None:
    """A message that no peer would take is refused where it is made."""
    with pytest.raises(ValueError, match="at most"):
        encode_frame([bytes(MESSAGE_LIMIT_BYTES)])
