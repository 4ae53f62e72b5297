"""Messages of RFC 1035 as bytes: what of a query matters here, names, and resource records."""

import struct
from dataclasses import dataclass
from typing import Final

A: Final = 1
NS: Final = 2
CNAME: Final = 5
SOA: Final = 6
PTR: Final = 12
TXT: Final = 16
AAAA: Final = 28
SRV: Final = 33
OPT: Final = 41
IXFR: Final = 251
AXFR: Final = 252
ANY: Final = 255

IN: Final = 1
CLASS_ANY: Final = 255

NOERROR: Final = 0
FORMERR: Final = 1
SERVFAIL: Final = 2
NXDOMAIN: Final = 3
NOTIMP: Final = 4
REFUSED: Final = 5
BADVERS: Final = 16
RCODES: Final = {
    NOERROR: "NOERROR",
    FORMERR: "FORMERR",
    SERVFAIL: "SERVFAIL",
    NXDOMAIN: "NXDOMAIN",
    NOTIMP: "NOTIMP",
    REFUSED: "REFUSED",
    BADVERS: "BADVERS",
}

QR: Final = 0x8000
AA: Final = 0x0400
TC: Final = 0x0200
RD: Final = 0x0100
RA: Final = 0x0080
CD: Final = 0x0010
_OPCODE: Final = 0x7800
_KEPT: Final = _OPCODE | RD | CD  # what an answer repeats of its question's flags

HEADER: Final = struct.Struct(">HHHHHH")
_FIXED: Final = struct.Struct(">HHIH")  # type, class, TTL, length
HEADER_SIZE: Final = 12
NAME_SIZE_MAX: Final = 255
LABEL_SIZE_MAX: Final = 63
TTL_MAX: Final = 2**31 - 1
UDP_SIZE_MIN: Final = 512  # what a client without EDNS takes
UDP_SIZE_OWN: Final = 4096  # what this server says that it takes
OPT_SIZE: Final = 11
POINTER_MAX: Final = 0x3FFF
QUESTION_NAME: Final = b"\xc0\x0c"  # a pointer to the name that was asked
ROOT: Final = b"\0"

_OPT_HEAD = ROOT + struct.pack(">H", OPT)


class Malformed(ValueError):
    """The bytes are no message that could be answered with more than an error."""


@dataclass(slots=True)
class Question:
    """One query. `raw` is its question section, `name` the name in it as labels in wire form, in lower case.

    `udp_size` is what the client takes in a datagram: None without EDNS. `edns_version` is -1 then.
    """

    id: int
    flags: int
    raw: bytes
    name: bytes
    type: int
    klass: int
    udp_size: int | None = None
    edns_version: int = -1

    @property
    def opcode(self) -> int:
        """0 for an ordinary query."""
        return (self.flags & _OPCODE) >> 11


def parse_question(data: bytes) -> Question:
    """The query in a message with exactly one question. Malformed for anything else."""
    if len(data) < HEADER_SIZE:
        raise Malformed("shorter than a header")
    number, flags, questions, answers, authorities, additionals = HEADER.unpack_from(data)
    if questions != 1:
        raise Malformed("not one question")
    end = _end_of_question_name(data)
    if len(data) < end + 4:
        raise Malformed("the question is cut off")
    question = Question(
        number,
        flags,
        data[HEADER_SIZE : end + 4],
        data[HEADER_SIZE:end].lower(),
        int.from_bytes(data[end : end + 2]),
        int.from_bytes(data[end + 2 : end + 4]),
    )
    others = answers + authorities
    if others or additionals:
        _look_for_edns(question, data, end + 4, others, additionals)
    return question


def _end_of_question_name(data: bytes) -> int:
    """Where the name ends that begins behind the header. It has no pointers, as nothing stands before it."""
    at, size = HEADER_SIZE, len(data)
    while at < size:
        length = data[at]
        if length == 0:
            if at + 1 - HEADER_SIZE > NAME_SIZE_MAX:
                break
            return at + 1
        if length > LABEL_SIZE_MAX:
            break
        at += length + 1
    raise Malformed("the name in the question is malformed")


def _look_for_edns(question: Question, data: bytes, at: int, others: int, additionals: int) -> None:
    """Find the OPT record (RFC 6891) among the additional ones. Malformed if the records do not fit the message."""
    for number in range(others + additionals):
        start = at
        at = _skip_name(data, at)
        if len(data) < at + 10:
            raise Malformed("a record is cut off")
        kind, klass, ttl, length = _FIXED.unpack_from(data, at)
        at += 10 + length
        if len(data) < at:
            raise Malformed("the data of a record are cut off")
        if kind == OPT and number >= others:
            if question.udp_size is not None or data[start] != 0:
                raise Malformed("more than one OPT record, or one with a name")
            _check_options(data[at - length : at])
            question.udp_size, question.edns_version = klass, ttl >> 16 & 0xFF


def _skip_name(data: bytes, at: int) -> int:
    """Where a name ends; pointers are not followed."""
    while at < len(data):
        length = data[at]
        if length == 0:
            return at + 1
        if length >= 0xC0:
            return at + 2
        if length > LABEL_SIZE_MAX:
            break
        at += length + 1
    raise Malformed("a name is malformed")


def _check_options(data: bytes) -> None:
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise Malformed("an EDNS option is cut off")
        at += 4 + int.from_bytes(data[at + 2 : at + 4])
    if at != len(data):
        raise Malformed("an EDNS option is cut off")


def labels_of(name: bytes) -> list[bytes]:
    """The labels of a name in wire form, without the root."""
    labels, at = [], 0
    while name[at]:
        end = at + 1 + name[at]
        labels.append(name[at + 1 : end])
        at = end
    return labels


def join_labels(labels: list[bytes]) -> bytes | None:
    """A name in wire form, or None if it cannot be one: an empty or overlong label, or too long in all."""
    if not all(0 < len(label) <= LABEL_SIZE_MAX for label in labels):
        return None
    name = b"".join(bytes((len(label),)) + label for label in labels) + ROOT
    return name if len(name) <= NAME_SIZE_MAX else None


def encode_name(text: str) -> bytes | None:
    """A dotted name, with or without the dot at its end, in wire form; None if it cannot be one."""
    raw = text.encode("utf-8", "surrogateescape").removesuffix(b".")
    return join_labels(raw.split(b".")) if raw else None


def record(owner: bytes, kind: int, ttl: int, data: bytes) -> bytes:
    """A resource record of class IN. `owner` is a name in wire form or a pointer, or nothing yet."""
    return owner + _FIXED.pack(kind, IN, ttl, len(data)) + data


def split_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """Records made by `record`, one after the other: the owner of each, and the rest of it."""
    records, at = [], 0
    while at < len(data):
        end = _skip_name(data, at)
        length = int.from_bytes(data[end + 8 : end + 10])
        records.append((data[at:end], data[end : end + 10 + length]))
        at = end + 10 + length
    return records


def opt_record(rcode: int) -> bytes:
    """The OPT record of an answer: what this server takes in a datagram, and the upper part of the code."""
    return _OPT_HEAD + struct.pack(">HBBHH", UDP_SIZE_OWN, rcode >> 4, 0, 0, 0)


def text_data(text: str) -> bytes:
    """The data of a TXT record: strings of at most 255 bytes each."""
    raw = text.encode("utf-8", "surrogateescape")
    parts = [raw[at : at + 255] for at in range(0, len(raw), 255)] or [b""]
    return b"".join(bytes((len(part),)) + part for part in parts)


def reply_flags(asked: int, extra: int, rcode: int) -> int:
    """The flags of an answer to a question with the flags `asked`."""
    return QR | asked & _KEPT | extra | rcode & 0x0F


def bare_reply(data: bytes, rcode: int) -> bytes:
    """A header alone: all that can be said about a message that could not be parsed."""
    number, flags = struct.unpack_from(">HH", data)
    return HEADER.pack(number, reply_flags(flags, 0, rcode), 0, 0, 0, 0)
