"""A resolver of its own for the tests: one question over UDP or TCP, the answer as JSON-like values (RFC 1035)."""

import json
import socket
import struct
from typing import Any

from tests.dns.messages import RCODES, TYPE_NAMES, TYPES

_ID = 0x1234
_RECURSION_DESIRED = 0x0100
_POINTER = 0xC0


def ask(
    address: tuple[str, int], name: str, kind: str, *, tcp: bool = False, edns: int = 0
) -> dict[str, Any]:
    """The answer's flags and records. `edns` is the size of answers that is offered. OSError if none comes."""
    query = _query(name, kind, edns)
    if not tcp:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(5)
            datagrams.sendto(query, address)
            return parse(datagrams.recv(65_535))
    with socket.create_connection(address, timeout=5) as stream, stream.makefile("rb") as reader:
        stream.sendall(struct.pack(">H", len(query)) + query)
        (size,) = struct.unpack(">H", reader.read(2))
        return parse(reader.read(size))


def _query(name: str, kind: str, edns: int) -> bytes:
    header = struct.pack(">6H", _ID, _RECURSION_DESIRED, 1, 0, 0, 1 if edns else 0)
    labels = [label.encode() for label in name.rstrip(".").split(".")]
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    extension = b"\0" + struct.pack(">HHIH", TYPES["OPT"], edns, 0, 0) if edns else b""
    return header + question + struct.pack(">HH", TYPES[kind], 1) + extension


def parse(packet: bytes) -> dict[str, Any]:
    """Flags, and the records of each section sorted, because their order means nothing. OPT records are left out."""
    _, flags, questions, *counts = struct.unpack_from(">6H", packet)
    code = flags & 15
    found: dict[str, Any] = {
        "rcode": RCODES[code] if code < len(RCODES) else code,
        "aa": bool(flags & 0x0400),
        "tc": bool(flags & 0x0200),
        "rd": bool(flags & 0x0100),
        "ra": bool(flags & 0x0080),
    }
    at = 12
    for _ in range(questions):
        at = _name(packet, at)[1] + 4
    for section, count in zip(("answer", "authority", "additional"), counts, strict=True):
        records = []
        for _ in range(count):
            record, at = _record(packet, at)
            if record["type"] != "OPT":
                records.append(record)
        found[section] = sorted(records, key=lambda record: json.dumps(record, sort_keys=True))
    return found


def _name(packet: bytes, at: int) -> tuple[str, int]:
    """The name at this place, and the place behind it. Pointers go backwards only, so this ends."""
    labels: list[str] = []
    while (size := packet[at]) and size < _POINTER:
        labels.append(packet[at + 1 : at + 1 + size].decode("latin-1"))
        at += 1 + size
    if size == 0:
        return ".".join(labels) + ".", at + 1
    target = struct.unpack_from(">H", packet, at)[0] & 0x3FFF
    assert target < at, "a name points forwards"
    rest, _ = _name(packet, target)
    return ".".join([*labels, rest]), at + 2


def _record(packet: bytes, at: int) -> tuple[dict[str, Any], int]:
    name, at = _name(packet, at)
    number, _, ttl, size = struct.unpack_from(">HHIH", packet, at)
    at += 10
    kind = TYPE_NAMES.get(number, number)
    return {"name": name, "type": kind, "ttl": ttl, "data": _data(packet, kind, at, size)}, at + size


def _data(packet: bytes, kind: str | int, at: int, size: int) -> Any:
    match kind:
        case "A":
            return socket.inet_ntop(socket.AF_INET, packet[at : at + size])
        case "AAAA":
            return socket.inet_ntop(socket.AF_INET6, packet[at : at + size])
        case "NS" | "CNAME" | "PTR":
            return _name(packet, at)[0]
        case "SRV":
            priority, weight, port = struct.unpack_from(">3H", packet, at)
            return {
                "priority": priority,
                "weight": weight,
                "port": port,
                "target": _name(packet, at + 6)[0],
            }
        case "TXT":
            texts, end = [], at + size
            while at < end:
                texts.append(packet[at + 1 : at + 1 + packet[at]].decode("utf-8", "replace"))
                at += 1 + packet[at]
            return texts
        case "SOA":
            primary, at = _name(packet, at)
            mailbox, at = _name(packet, at)
            numbers = struct.unpack_from(">5I", packet, at)
            names = ("serial", "refresh", "retry", "expire", "minimum")
            return {"mname": primary, "rname": mailbox} | dict(zip(names, numbers, strict=True))
    return packet[at : at + size].hex()
