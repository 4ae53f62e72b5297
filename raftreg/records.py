"""The records of the model as bytes: how each is laid out (see `raftreg.codec`)."""

from typing import Any

from raftreg import codec
from raftreg.codec import (
    Shape,
    flag,
    free,
    integer,
    many,
    mapping,
    one_of,
    optional,
    pair,
    raw,
    seconds,
    text,
    unsigned,
)
from raftreg.model import Check, KVEntry, Node, Probe, Service, Session, Weights

Record = KVEntry | Node | Service | Check | Session

_text_map = mapping(text)
_free_map = mapping(free)
_texts = many(text)

KV_ENTRY = Shape(
    KVEntry, key=text, value=raw, flags=unsigned, lock_index=unsigned, session=optional(text),
    create_index=unsigned, modify_index=unsigned,
)  # fmt: skip
NODE = Shape(
    Node, name=text, id=text, address=text, tagged_addresses=optional(_text_map), meta=optional(_text_map),
    create_index=unsigned, modify_index=unsigned,
)  # fmt: skip
_WEIGHTS = Shape(Weights, passing=integer, warning=integer)
SERVICE = Shape(
    Service, node=text, id=text, name=text, tags=optional(_texts), address=text, port=integer,
    tagged_addresses=optional(mapping(_free_map)), meta=optional(_text_map), weights=_WEIGHTS.record,
    enable_tag_override=flag, extra=optional(_free_map), create_index=unsigned, modify_index=unsigned,
)  # fmt: skip
_PROBE = Shape(
    Probe, kind=text, ttl_s=seconds, interval_s=seconds, timeout_s=seconds, deregister_after_s=seconds,
    success_before_passing=integer, failures_before_critical=integer, options=optional(_free_map),
)  # fmt: skip
CHECK = Shape(
    Check, node=text, id=text, name=text, status=text, notes=text, output=text, service_id=text,
    service_name=text, service_tags=optional(_texts), type=text, definition=optional(_free_map),
    probe=optional(_PROBE.record), create_index=unsigned, modify_index=unsigned,
)  # fmt: skip
SESSION = Shape(
    Session, id=text, node=text, name=text, behavior=one_of("release", "delete"), ttl=text, ttl_s=seconds,
    lock_delay_ns=integer, checks=optional(_texts), node_checks=_texts, service_checks=optional(many(pair(text, text))),
    create_index=unsigned, modify_index=unsigned,
)  # fmt: skip

# The number of a kind of record is its place here: append, never reorder.
_RECORDS: tuple[Shape[Any], ...] = (KV_ENTRY, NODE, SERVICE, CHECK, SESSION)
_RECORD_NUMBER = {shape.kind: number for number, shape in enumerate(_RECORDS)}


def record_row(record: Record) -> tuple[object, ...]:
    """A record as an array: its kind's number and its fields."""
    number = _RECORD_NUMBER[type(record)]
    return number, _RECORDS[number].row(record)


def record_from_row(row: object) -> Record:
    """The record that an unpacked array stands for, or ValueError."""
    if type(row) is not list or len(row) != 2:
        raise ValueError("record: not an array of 2 fields")
    if type(row[0]) is not int or not 0 <= row[0] < len(_RECORDS):
        raise ValueError(f"record number {str(row[0])[:40]} is not known to this release")
    record: Record = _RECORDS[row[0]].record(row[1])
    return record


def encode_record(record: Record) -> bytes:
    """The bytes of one record of the model."""
    return codec.pack(record_row(record))


def decode_record(data: bytes) -> Record:
    """The record that `encode_record` was given; ValueError for any other bytes."""
    return record_from_row(codec.unpack(data, "record"))
