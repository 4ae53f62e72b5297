"""The handshake: both sides prove that they hold the key, and say why when they do not want each other."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftreg import versions
from raftreg.clock import SystemClock
from raftreg.consensus.frames import ProtocolError, encode_frame
from raftreg.consensus.hello import (
    ACCEPTOR,
    DIALER,
    FEATURES,
    PROTOCOL,
    Handshake,
    HandshakeRefused,
    Hello,
    decode_hello,
)
from raftreg.consensus.identity import open_data_dir

N1 = Hello(1, None, "n1", "11" * 16, "aa", 1, {"http": "127.0.0.1:8500"})
N2 = Hello(1, "c0ffee", "n2", "22" * 16, "bb", 7, {})
Judge = Callable[[Hello], str | None]


def accept(hello: Hello) -> str | None:
    """Wants everybody."""
    return None


def sides(
    dialer_key: bytes = b"key",
    acceptor_key: bytes = b"key",
    *,
    dialer: Judge = accept,
    acceptor: Judge = accept,
) -> tuple[Handshake, Handshake]:
    """n2 dials n1."""
    return (
        Handshake(DIALER, N2, dialer_key, b"d" * 32, dialer),
        Handshake(ACCEPTOR, N1, acceptor_key, b"a" * 32, acceptor),
    )


def message(frame: bytes) -> list[Any]:
    """The message in a frame."""
    decoded: list[Any] = msgpack.unpackb(frame[4:])
    return decoded


def carry_out(dialer: Handshake, acceptor: Handshake) -> None:
    """All steps, until both are done or one raises."""
    hello = acceptor.receive(message(dialer.begin()))
    proof = acceptor.receive(message(dialer.receive(message(hello))))
    assert b"" == acceptor.receive(message(dialer.receive(message(proof))))


def test_both_sides_learn_who_is_there() -> None:
    """With equal keys both are done, and each knows the other's hello, whole."""
    dialer, acceptor = sides()
    carry_out(dialer, acceptor)
    assert (True, True, N1) == (dialer.done, dialer.proved, dialer.peer)
    assert (True, True, N2) == (acceptor.done, acceptor.proved, acceptor.peer)
    assert f"n2.{'22' * 16}" == N2.member_id


def test_no_key_is_a_key_too() -> None:
    """Two nodes without a key connect."""
    dialer, acceptor = sides(b"", b"")
    carry_out(dialer, acceptor)
    assert dialer.done
    assert acceptor.done


def test_other_key_is_refused() -> None:
    """Who proves another key is refused by the acceptor, before that proves anything itself."""
    dialer, acceptor = sides(b"key", b"other")
    with pytest.raises(HandshakeRefused, match="cluster keys of the two nodes differ"):
        carry_out(dialer, acceptor)
    assert (False, False) == (acceptor.proved, dialer.proved)


@pytest.mark.parametrize(
    ("dialer_key", "acceptor_key", "text"),
    [
        (b"", b"key", "this node has a cluster key and n2 has none"),
        (b"key", b"", "this node has no cluster key and n2 has one"),
    ],
)
def test_one_key_is_refused_with_a_reason(dialer_key: bytes, acceptor_key: bytes, text: str) -> None:
    """When only one side has a key, that is what is said."""
    dialer, acceptor = sides(dialer_key, acceptor_key)
    with pytest.raises(HandshakeRefused, match=text):
        carry_out(dialer, acceptor)


def test_reflection_does_not_prove_anything() -> None:
    """Somebody without the key who sends everything back does not get through."""
    dialer, _ = sides()
    proof = dialer.receive(message(dialer.begin()))
    with pytest.raises(HandshakeRefused, match="keys"):
        dialer.receive(message(proof))


def test_replay_does_not_prove_anything() -> None:
    """What a dialer said once is worth nothing for a later handshake, which has another challenge."""
    dialer, acceptor = sides()
    hello = dialer.begin()
    proof = dialer.receive(message(acceptor.receive(message(hello))))
    later = Handshake(ACCEPTOR, N1, b"key", b"z" * 32, accept)
    later.receive(message(hello))
    with pytest.raises(HandshakeRefused, match="keys"):
        later.receive(message(proof))


def test_changed_hello_is_noticed() -> None:
    """A hello that was changed on its way spoils the proof."""
    dialer, acceptor = sides()
    hello = message(dialer.begin())
    hello[1][2] = "n3"
    answer = acceptor.receive(hello)
    with pytest.raises(HandshakeRefused, match="keys"):
        acceptor.receive(message(dialer.receive(message(answer))))


def test_key_is_not_on_the_wire() -> None:
    """Nothing that is sent holds the key."""
    dialer, acceptor = sides(b"the secret key", b"the secret key")
    first = dialer.begin()
    second = acceptor.receive(message(first))
    third = dialer.receive(message(second))
    fourth = acceptor.receive(message(third))
    assert not any(
        b"secret" in sent for sent in (first, second, third, fourth, dialer.receive(message(fourth)))
    )


def test_each_side_judges_who_proved_itself() -> None:
    """A judge is asked once the proof was right; its text is the refusal, which the peer knows to be real."""
    dialer, acceptor = sides(acceptor=lambda hello: f"no {hello.name} here")
    answer = acceptor.receive(message(dialer.begin()))
    proof = dialer.receive(message(answer))
    with pytest.raises(HandshakeRefused, match="no n2 here") as caught:
        acceptor.receive(message(proof))
    assert ("no n2 here", True) == dialer.told(message(acceptor.refusal(caught.value.text)))
    dialer, acceptor = sides(dialer=lambda hello: f"no {hello.name} here")
    with pytest.raises(HandshakeRefused, match="no n1 here") as caught:
        carry_out(dialer, acceptor)
    assert ("no n1 here", True) == acceptor.told(message(dialer.refusal(caught.value.text)))


def test_refusal_by_anybody_is_only_information() -> None:
    """A refusal by one that does not hold the key is not authenticated; its text is cut and printable."""
    dialer, acceptor = sides(b"key", b"other")
    answer = acceptor.receive(message(dialer.begin()))
    dialer.receive(message(answer))
    assert ("go away", False) == dialer.told(message(acceptor.refusal("go away")))
    forged = ["refused", "red \x1b[31m\n" + "x" * 3000, b"m" * 32]
    text, authentic = dialer.told(forged)
    assert (False, True, 400) == (authentic, text.isprintable(), len(text))


def test_other_protocol_version_is_refused_by_name() -> None:
    """A later protocol may have another hello; its version is told all the same, and whom to upgrade."""
    _, acceptor = sides()
    with pytest.raises(HandshakeRefused) as refused:
        acceptor.receive(["hello", [2, "whatever"], b"c" * 32, True])
    assert refused.value.text == (
        "the peer speaks protocol version 2, this node protocol version 1: upgrade the raftreg that does not talk to "
        "the peer"
    )


def _meet(monkeypatch: pytest.MonkeyPatch, mine: tuple[int, int], theirs: tuple[int, int]) -> int | str:
    """The version that a node which speaks `mine` uses with one that speaks `theirs`, or its refusal."""
    _, acceptor = sides()
    monkeypatch.setattr(versions, "PROTOCOL_MIN", mine[0])
    monkeypatch.setattr(versions, "PROTOCOL_MAX", mine[1])
    hello = replace(N2, version=theirs[0], advertise={PROTOCOL: f"{theirs[0]}..{theirs[1]}"})
    try:
        acceptor.receive(["hello", hello.encode(), b"c" * 32, True])
    except HandshakeRefused as refused:
        return refused.text
    return acceptor.version


def test_two_nodes_use_the_greatest_version_that_both_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else each of them can."""
    assert 3 == _meet(monkeypatch, (1, 3), (2, 5))
    assert 2 == _meet(monkeypatch, (2, 4), (1, 2))
    assert 1 == _meet(monkeypatch, (1, 1), (1, 9))


def test_without_a_common_version_both_are_named_and_the_older_is_to_be_upgraded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever of the two it is; a node that is told so knows that it is meant."""
    older = _meet(monkeypatch, (3, 4), (1, 2))
    assert older == (
        "too old: n2 speaks protocol versions 1 to 2, this node protocol versions 3 to 4: upgrade raftreg on n2"
    )
    newer = _meet(monkeypatch, (1, 2), (3, 3))
    assert newer == (
        "n2 speaks protocol version 3, this node protocol versions 1 to 2: upgrade the raftreg that does not talk to n2"
    )


FORMER_HELLO = bytes.fromhex(
    "97 01 a6 63306666 6565 a2 6e32 a2 3232 a2 6262 07 81 a7 6c6f672d656e64 a1 39".replace(" ", "")
)


def test_hello_of_the_first_release_is_understood() -> None:
    """Its bytes, as they were: one version and no range. It knows that version and the first feature level."""
    hello = decode_hello(msgpack.unpackb(FORMER_HELLO))
    assert Hello(1, "c0ffee", "n2", "22", "bb", 7, {"log-end": "9"}) == hello
    assert ((1, 1), (1, 1)) == (hello.protocols, hello.levels)
    _, acceptor = sides()
    acceptor.receive(["hello", msgpack.unpackb(FORMER_HELLO), b"c" * 32, True])
    assert acceptor.version == 1


def test_hello_of_this_release_is_one_that_the_first_understands(tmp_path: Path) -> None:
    """Seven fields, the first of which is 1; what is new stands in the texts that it leaves aside."""
    data_dir = open_data_dir(tmp_path, "n1", SystemClock())
    try:
        fields = data_dir.hello().encode()
    finally:
        asyncio.run(data_dir.close())
    assert (7, 1) == (len(fields), fields[0])
    assert {"protocol": "1..1", "features": "1..2"} == fields[6]


@pytest.mark.parametrize(
    "text", ["", "2", "2..", "..", "a..b", "3..2", "-1..2", "1..2..3", "9" * 5000 + "..1"]
)
def test_range_that_is_none_is_that_of_the_first_release(text: str) -> None:
    """Whatever a hello says, it says something."""
    assert (1, 1) == replace(N2, advertise={FEATURES: text}).levels


@pytest.mark.parametrize(
    "bad",
    [
        [],
        ["hello"],
        ["hello", None, b"c" * 32, True],
        ["hello", N2.encode(), b"short", True],
        ["hello", N2.encode()[:-1], b"c" * 32, True],
        ["hello", replace(N2, name="").encode(), b"c" * 32, True],
        ["hello", replace(N2, name="n\n2").encode(), b"c" * 32, True],
        ["hello", replace(N2, starts=-1).encode(), b"c" * 32, True],
        ["hello", replace(N2, starts=True).encode(), b"c" * 32, True],
        ["hello", replace(N2, nonce="x" * 65).encode(), b"c" * 32, True],
        ["hello", replace(N2, advertise={str(n): "" for n in range(17)}).encode(), b"c" * 32, True],
        ["proof", b"p" * 32],
        ["ready"],
        ["use", 1],
        ["append", 1, 2],
    ],
)
def test_nonsense_is_a_protocol_error(bad: list[Any]) -> None:
    """What does not belong into a handshake, or at that place, ends it."""
    _, acceptor = sides()
    with pytest.raises(ProtocolError):
        acceptor.receive(bad)


def test_hello_cannot_be_said_twice() -> None:
    """A second hello would change who was proved."""
    dialer, acceptor = sides()
    acceptor.receive(message(dialer.begin()))
    with pytest.raises(ProtocolError):
        acceptor.receive(message(dialer.begin()))


@settings(max_examples=100, deadline=None)
@given(fields=st.lists(st.none() | st.integers() | st.text(max_size=3) | st.binary(max_size=3), max_size=8))
def test_any_fields_are_a_hello_or_a_protocol_error(fields: list[Any]) -> None:
    """Decoding a hello raises nothing else."""
    try:
        hello = decode_hello(fields)
    except ProtocolError:
        return
    assert fields == hello.encode()


def test_refusal_fits_into_the_first_frames() -> None:
    """A refusal of any length fits into the limit before the handshake."""
    dialer, _ = sides()
    assert len(dialer.refusal("\U0001f600" * 10_000)) < 4096
    assert len(encode_frame(["hello", N2.encode(), b"c" * 32, True])) < 4096
