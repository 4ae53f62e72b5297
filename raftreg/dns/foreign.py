"""Reading the answers of other name servers: names with pointers are written out, so that the records fit anywhere."""

from raftreg.dns import wire
from raftreg.dns.wire import HEADER

_JUMPS_MAX = 32
_FIXED_SIZE = 10


def answer_records(message: bytes, question_end: int) -> list[bytes]:
    """The A, AAAA and CNAME records in the answer section; an empty list for a message that cannot be read.

    `question_end` is where the question section ends.
    """
    try:
        return list(_records(message, question_end))
    except (IndexError, ValueError):
        return []


def _records(message: bytes, at: int) -> list[bytes]:
    records = []
    for _ in range(HEADER.unpack_from(message)[3]):
        owner, at = _read_name(message, at)
        kind = int.from_bytes(message[at : at + 2])
        ttl = int.from_bytes(message[at + 4 : at + 8])
        start = at + _FIXED_SIZE
        at = start + int.from_bytes(message[at + 8 : start])
        if at > len(message):
            raise ValueError("the data of a record are cut off")
        if kind == wire.CNAME:
            records.append(wire.record(owner, kind, ttl, _read_name(message, start)[0]))
        elif kind in (wire.A, wire.AAAA):
            records.append(wire.record(owner, kind, ttl, message[start:at]))
    return records


def _read_name(message: bytes, at: int) -> tuple[bytes, int]:
    """A name without pointers, and where it ends in the message. ValueError for what is none."""
    name, end = b"", 0
    for _ in range(wire.NAME_SIZE_MAX + _JUMPS_MAX):
        length = message[at]
        if length >= 0xC0:
            end = end or at + 2
            at = (length & 0x3F) << 8 | message[at + 1]
        elif length == 0:
            if len(name) >= wire.NAME_SIZE_MAX:
                break
            return name + wire.ROOT, end or at + 1
        elif length > wire.LABEL_SIZE_MAX:
            break
        else:
            name += message[at : at + 1 + length]
            at += 1 + length
    raise ValueError("not a name")
