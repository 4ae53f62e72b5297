"""The handshake: both sides prove that they hold the key, and say why when they do not want each other."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftreg.consensus.frames import ProtocolError, encode_frame
from raftreg.consensus.hello import (
    ACCEPTOR,
    DIALER,
    PROTOCOL_VERSION,
    Handshake,
    HandshakeRefused,
    Hello,
    decode_hello,
)

N1 = Hello(PROTOCOL_VERSION, None, "n1", "11" * 16, "aa", 1, {"http": "127.0.0.1:8500"})
N2 = Hello(PROTOCOL_VERSION, "c0ffee", "n2", "22" * 16, "bb", 7, {})
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
    """A later protocol may have another hello; its version is told all the same."""
    _, acceptor = sides()
    with pytest.raises(HandshakeRefused, match="protocol version 2 is not 1"):
        acceptor.receive(["hello", [2, "whatever"], b"c" * 32, True])


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
