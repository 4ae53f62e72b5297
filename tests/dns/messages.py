"""DNS messages for tests: queries as bytes, and answers as lines that people can read."""

import ipaddress
from dataclasses import dataclass, field

TYPES = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "MX": 15,
    "TXT": 16,
    "AAAA": 28,
    "SRV": 33,
    "OPT": 41,
    "AXFR": 252,
    "ANY": 255,
}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
_FLAGS = ((0x8000, "qr"), (0x0400, "aa"), (0x0200, "tc"), (0x0100, "rd"), (0x0080, "ra"))


def encode_name(name: str) -> bytes:
    """A dotted name in wire form."""
    labels = [label.encode("latin-1") for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def make_query(
    name: str, kind: str = "A", *, edns: int | None = None, klass: int = 1, flags: int = 0x0100
) -> bytes:
    """A query with the number 0x1234."""
    head = b"\x12\x34" + flags.to_bytes(2) + b"\0\1\0\0\0\0" + (b"\0\1" if edns is not None else b"\0\0")
    question = encode_name(name) + TYPES[kind].to_bytes(2) + klass.to_bytes(2)
    opt = b"" if edns is None else b"\0\0\x29" + edns.to_bytes(2) + b"\0" * 6
    return head + question + opt


@dataclass
class Message:
    """An answer. Records are `owner TTL TYPE data`; the OPT record is apart."""

    rcode: str
    flags: str
    question: bytes
    size: int
    opt: str = ""
    answer: list[str] = field(default_factory=list)
    authority: list[str] = field(default_factory=list)
    additional: list[str] = field(default_factory=list)


def parse(data: bytes) -> Message:
    """The whole message; it fails on what is no message, and on bytes that follow it."""
    assert data[:2] == b"\x12\x34", data[:20]
    bits = int.from_bytes(data[2:4])
    counts = [int.from_bytes(data[at : at + 2]) for at in (4, 6, 8, 10)]
    at = 12
    for _ in range(counts[0]):
        at = read_name(data, at)[1] + 4
    flags = " ".join(name for bit, name in _FLAGS if bits & bit)
    message = Message(RCODES[bits & 15], flags, data[12:at], len(data))
    for rows, count in zip((message.answer, message.authority, message.additional), counts[1:], strict=True):
        for _ in range(count):
            row, at = _record(data, at)
            if row.split()[2] == "OPT":
                message.opt = row
            else:
                rows.append(row)
    assert at == len(data)
    return message


def read_name(data: bytes, at: int) -> tuple[str, int]:
    """A name, and where it ends."""
    labels: list[str] = []
    end = 0
    for _ in range(200):
        length = data[at]
        if length >= 0xC0:
            end = end or at + 2
            at = (length & 0x3F) << 8 | data[at + 1]
        elif length == 0:
            return ".".join(labels) + ".", end or at + 1
        else:
            labels.append(data[at + 1 : at + 1 + length].decode("utf-8", "replace"))
            at += 1 + length
    raise AssertionError("a name without end")


def _record(data: bytes, at: int) -> tuple[str, int]:
    owner, at = read_name(data, at)
    kind, klass = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 4])
    ttl, length = int.from_bytes(data[at + 4 : at + 8]), int.from_bytes(data[at + 8 : at + 10])
    start, end = at + 10, at + 10 + length
    assert end <= len(data)
    name = TYPE_NAMES[kind]
    assert name == "OPT" or klass == 1
    return f"{owner} {ttl} {name} {_shown(data, name, start, end)}".rstrip(), end


def _shown(data: bytes, kind: str, start: int, end: int) -> str:
    match kind:
        case "A" | "AAAA":
            return str(ipaddress.ip_address(data[start:end]))
        case "NS" | "CNAME" | "PTR":
            return read_name(data, start)[0]
        case "SRV":
            numbers = " ".join(str(int.from_bytes(data[at : at + 2])) for at in range(start, start + 6, 2))
            return f"{numbers} {read_name(data, start + 6)[0]}"
        case "TXT":
            texts = []
            while start < end:
                texts.append(data[start + 1 : start + 1 + data[start]].decode())
                start += 1 + data[start]
            return "|".join(texts)
        case "SOA":
            server, at = read_name(data, start)
            mail, at = read_name(data, at)
            numbers = " ".join(str(int.from_bytes(data[n : n + 4])) for n in range(at, at + 20, 4))
            return f"{server} {mail} {numbers}"
    return data[start:end].hex()
