"""The handshake: who is there, and does it hold the cluster key? A pure object; no IO, no clock.

    dialer   -> hello, challenge
    acceptor -> hello, challenge
    dialer   -> proof                 HMAC-SHA256(key, "dialer", transcript)
    acceptor -> proof                 HMAC-SHA256(key, "acceptor", transcript), if it accepts the dialer
    dialer   -> ready                 if it accepts the acceptor
    arbiter  -> use, number           the connection is live

The transcript is the hash of both hello frames, which contain a fresh challenge each: a proof serves for one
connection, one pair of hellos and one role, so neither replay nor reflection helps. The key itself is never sent.
Without a key the empty one is used, and both sides say whether they have one. Instead of any of its messages a side
may send a refusal with one line of text and close; refusals are information for operators and prove nothing.

Not protected: what follows the handshake is neither encrypted nor authenticated frame by frame. Somebody who can
change packets between two nodes can take over a connection after its handshake.

Versions: each side tells the range that it speaks, and the greatest version that both know is used. The number in the
first field is the least; releases that tell no range take it for the only one, so that they understand each other.
Frames carry no version: that of the handshake holds for the connection.

`use` is sent by the node with the greater name, whoever dialed. Its numbers rise through the life of its process, and
the connection with the greatest number is the one that counts, so that both sides end with the same one when each
dialed the other.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from raftreg import versions
from raftreg.consensus.frames import ProtocolError, encode_frame

PROTOCOL: Final = "protocol"  # in what a hello advertises: the range of versions, such as 1..2
FEATURES: Final = "features"  # the range of feature levels, in the same form
TOO_OLD: Final = "too old: "
"""Begins every refusal that ends when the refused node is upgraded; it goes on trying."""
CHALLENGE_BYTES: Final = 32
REFUSAL_CHARACTERS: Final = 400

REFUSED: Final = "refused"
UNPROVED: Final = "unproved: "
"""Begins, towards the node, what a peer said that did not prove to hold the key."""
DIALER: Final = "dialer"
ACCEPTOR: Final = "acceptor"


@dataclass(frozen=True, slots=True)
class Hello:
    """How a process introduces itself. `nonce` is new for each process, `starts` counts those of this data directory.

    `advertise` is what else a node tells of itself, texts by name: `log-end` is the index of its last log entry.
    """

    version: int
    cluster_id: str | None
    name: str
    incarnation: str
    nonce: str
    starts: int
    advertise: Mapping[str, str]

    @property
    def member_id(self) -> str:
        """name.incarnation"""
        return f"{self.name}.{self.incarnation}"

    @property
    def levels(self) -> versions.Range:
        """The feature levels that the process knows; releases that tell none know the first."""
        return versions.parse_range(self.advertise.get(FEATURES, ""), (1, 1))

    @property
    def protocols(self) -> versions.Range:
        """The protocol versions that the process speaks."""
        return versions.parse_range(self.advertise.get(PROTOCOL, ""), (self.version, self.version))

    def encode(self) -> list[Any]:
        """As it stands in a frame."""
        return [
            self.version,
            self.cluster_id,
            self.name,
            self.incarnation,
            self.nonce,
            self.starts,
            dict(self.advertise),
        ]


def _is_text(value: object, longest: int, *, empty: bool = False) -> bool:
    return isinstance(value, str) and (empty or value != "") and len(value) <= longest and value.isprintable()


def decode_hello(fields: object) -> Hello:
    """A Hello whose every field has the right type and a sane length. Raises ProtocolError."""
    if not isinstance(fields, list) or len(fields) != 7:
        raise ProtocolError("a malformed hello")
    version, cluster_id, name, incarnation, nonce, starts, advertise = fields
    good = (
        type(version) is int
        and (cluster_id is None or _is_text(cluster_id, 128))
        and _is_text(name, 128)
        and _is_text(incarnation, 64)
        and _is_text(nonce, 64)
        and type(starts) is int
        and 0 <= starts < 1 << 63
        and isinstance(advertise, dict)
        and len(advertise) <= 16
        and all(_is_text(key, 32) and _is_text(text, 256, empty=True) for key, text in advertise.items())
    )
    if not good:
        raise ProtocolError("a malformed hello")
    return Hello(version, cluster_id, name, incarnation, nonce, starts, advertise)


def common_protocol(name: str, theirs: versions.Range) -> int:
    """The greatest version that both sides speak. Raises HandshakeRefused, which says whom to upgrade."""
    mine = (versions.PROTOCOL_MIN, versions.PROTOCOL_MAX)
    common = min(mine[1], theirs[1])
    if common >= max(mine[0], theirs[0]):
        return common
    peer_is_older = theirs[1] < mine[0]
    whom = f"raftreg on {name}" if peer_is_older else f"the raftreg that does not talk to {name}"
    raise HandshakeRefused(
        f"{TOO_OLD if peer_is_older else ''}{name} speaks {_spoken(theirs)}, this node {_spoken(mine)}: upgrade {whom}"
    )


def _spoken(spoken: versions.Range) -> str:
    least, greatest = spoken
    return f"protocol version {least}" if least == greatest else f"protocol versions {least} to {greatest}"


class HandshakeRefused(Exception):
    """This side refuses: `text` is for the peer and for the log."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text[:REFUSAL_CHARACTERS]


class Handshake:
    """One side of one handshake. Feed it messages; send what it returns.

    `peer` is known once the peer's hello came (then unproved), `proved` tells when its proof was right. The handshake
    is `done` on the dialer when it has sent ready, on the acceptor when it has received it.
    """

    def __init__(
        self, role: str, own: Hello, key: bytes, challenge: bytes, judge: Callable[[Hello], str | None]
    ) -> None:
        """`judge` is asked once the proof of the peer was right: None to accept, else a refusal."""
        self.peer: Hello | None = None
        self.version = 0  # the protocol version that both speak, once the peer's hello came
        self.proved = False
        self.done = False
        self._role = role
        self._key = key
        self._judge = judge
        self._own_frame = encode_frame(["hello", own.encode(), challenge, bool(key)])
        self._transcript = b""

    def begin(self) -> bytes:
        """What to send first; nothing for the acceptor."""
        return self._own_frame if self._role == DIALER else b""

    def receive(self, message: list[Any]) -> bytes:
        """What to answer. Raises HandshakeRefused or ProtocolError."""
        match message:
            case ["hello", fields, bytes(challenge), bool(keyed)] if self.peer is None:
                return self._on_hello(message, fields, challenge, keyed)
            case ["proof", bytes(proof)] if self.peer is not None and not self.proved:
                return self._on_proof(self.peer, proof)
            case ["ready"] if self.proved and self._role == ACCEPTOR and not self.done:
                self.done = True
                return b""
        raise ProtocolError("a message that does not belong into a handshake")

    def refusal(self, text: str) -> bytes:
        """The frame of a refusal by this side, authenticated if the peer has proved itself."""
        text = text[:REFUSAL_CHARACTERS]
        return encode_frame([REFUSED, text, self._mac(self._role, text) if self.proved else b""])

    def told(self, message: list[Any]) -> tuple[str, bool]:
        """(text, authenticated) of a refusal by the peer; the text is cut and printable. Raises ProtocolError."""
        match message:
            case ["refused", str(text), bytes(mac)]:
                peer_role = ACCEPTOR if self._role == DIALER else DIALER
                authentic = bool(self._transcript) and hmac.compare_digest(self._mac(peer_role, text), mac)
                shown = text[:REFUSAL_CHARACTERS]
                return "".join(letter if letter.isprintable() else " " for letter in shown), authentic
        raise ProtocolError("a malformed refusal")

    def _on_hello(self, message: list[Any], fields: object, challenge: bytes, keyed: bool) -> bytes:
        version = fields[0] if isinstance(fields, list) and fields else None
        try:
            hello = decode_hello(fields)
        except ProtocolError:
            if type(version) is int and version > versions.PROTOCOL_MAX:  # It may have another form then.
                common_protocol("the peer", (version, version))
            raise
        self.version = common_protocol(hello.name, hello.protocols)
        if len(challenge) != CHALLENGE_BYTES:
            raise ProtocolError("a malformed challenge")
        self.peer = hello
        if keyed != bool(self._key):
            mine, yours = ("a", "none") if self._key else ("no", "one")
            raise HandshakeRefused(f"this node has {mine} cluster key and {hello.name} has {yours}")
        peer_frame = encode_frame(message)
        dialer, acceptor = (
            (self._own_frame, peer_frame) if self._role == DIALER else (peer_frame, self._own_frame)
        )
        # Each frame begins with its length, so that the border between the two is part of what is hashed.
        self._transcript = hashlib.sha256(b"raftreg handshake 1\0" + dialer + acceptor).digest()
        return self._proof(DIALER) if self._role == DIALER else self._own_frame

    def _on_proof(self, peer: Hello, proof: bytes) -> bytes:
        other = ACCEPTOR if self._role == DIALER else DIALER
        if not hmac.compare_digest(self._mac(other), proof):
            raise HandshakeRefused("the cluster keys of the two nodes differ")
        self.proved = True
        refusal = self._judge(peer)
        if refusal is not None:
            raise HandshakeRefused(refusal)
        if self._role == ACCEPTOR:
            return self._proof(ACCEPTOR)
        self.done = True
        return encode_frame(["ready"])

    def _mac(self, role: str, refusal: str | None = None) -> bytes:
        """The proof of a role; or, with a text, the authentication of a refusal by it."""
        purpose = b"proof\0" if refusal is None else b"refusal\0" + refusal.encode()
        return hmac.digest(self._key, role.encode() + b"\0" + self._transcript + purpose, "sha256")

    def _proof(self, role: str) -> bytes:
        return encode_frame(["proof", self._mac(role)])
