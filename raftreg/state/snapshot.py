"""The whole state as bytes and back.

The format: the version byte of `raftreg.codec`, then msgpack arrays one after the other. The first holds the counters;
then each is [number of a section, rows], a few hundred rows each, sections in order; the last is [-1, how many rows].
All rows of a section are in an order that follows from the state alone, so that equal states have equal bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgpack

from raftreg import codec
from raftreg.codec import Shape, raw, text, unsigned
from raftreg.commands import result_from_row, result_row
from raftreg.model import Check, KVEntry, Node, Service
from raftreg.state.catalog import Catalog, Counters
from raftreg.state.kv import KVTable
from raftreg.state.results import Results
from raftreg.state.tombstones import Tombstones

ROWS_PER_SLICE = 256
BYTES_PER_SLICE = 1 << 20  # of values; a thread that packs more at once keeps the event loop waiting
_END = -1

_ENTRY: Shape[KVEntry] = codec.SHAPES[KVEntry]
_NODE: Shape[Node] = codec.SHAPES[Node]
_SERVICE: Shape[Service] = codec.SHAPES[Service]
_CHECK: Shape[Check] = codec.SHAPES[Check]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is remembered of what is gone."""

    results_max: int
    tombstones_max: int


@dataclass(frozen=True, slots=True)
class Tables:
    """All that a state consists of."""

    index: int
    kv: KVTable
    catalog: Catalog
    results: Results


def empty(limits: Limits) -> Tables:
    """The state before the first command."""
    gone = Tombstones(limits.tombstones_max), Tombstones(limits.tombstones_max)
    kv = KVTable(Tombstones(limits.tombstones_max))
    return Tables(1, kv, Catalog(*gone, Counters()), Results(limits.results_max))


def freeze(tables: Tables) -> Callable[[], bytes]:
    """Copy references to everything, and return the function that encodes the copies."""
    header = _header(tables)
    kv, catalog = tables.kv, tables.catalog
    names, entries = kv.order.all(), kv.entries.copy()
    hosts = [
        (name, host.node, host.services.copy(), host.checks.copy()) for name, host in catalog.hosts.items()
    ]
    pairs: list[list[tuple[Any, int]]] = [
        kv.gone.rows(),
        list(catalog.node_indexes.items()),
        catalog.nodes_gone.rows(),
        list(catalog.service_indexes.items()),
        catalog.services_gone.rows(),
    ]
    results = tables.results.copy()

    def encode() -> bytes:
        hosts.sort(key=lambda host: host[0])
        kv_gone, node_indexes, nodes_gone, service_indexes, services_gone = pairs
        sections: list[Iterator[Any]] = [
            (_ENTRY.row(entries[name]) for name in names),
            iter(kv_gone),
            (_NODE.row(node) for _, node, _, _ in hosts),
            (_SERVICE.row(services[key]) for _, _, services, _ in hosts for key in sorted(services)),
            (_CHECK.row(checks[key]) for _, _, _, checks in hosts for key in sorted(checks)),
            iter(sorted(node_indexes)),
            iter(nodes_gone),
            iter(sorted(service_indexes)),
            iter(services_gone),
            ((request_id, *result_row(result)) for request_id, result in results.items()),
        ]
        return b"".join(_parts(header, sections))

    return encode


def _header(tables: Tables) -> tuple[int, ...]:
    kv, catalog = tables.kv, tables.catalog
    counters = catalog.counters
    return (
        tables.index,
        kv.changed,
        kv.gone.floor,
        counters.nodes,
        counters.services,
        counters.checks,
        catalog.nodes_gone.floor,
        catalog.services_gone.floor,
        tables.results.floor,
    )


def _parts(header: Sequence[int], sections: Iterable[Iterator[Any]]) -> Iterator[bytes]:
    pack = codec.new_packer()  # a packer of this thread's own
    yield bytes((codec.VERSION,))
    yield pack(header)
    count = 0
    for number, rows in enumerate(sections):
        for piece in _slices(rows, by_value=number == 0):
            count += len(piece)
            yield pack((number, piece))
    yield pack((_END, count))


def _slices(rows: Iterator[Any], *, by_value: bool) -> Iterator[list[Any]]:
    """Pieces of a section, each small enough to be packed without keeping other threads waiting."""
    while piece := list(islice(rows, ROWS_PER_SLICE)):
        if by_value and sum(len(row[1]) for row in piece) > BYTES_PER_SLICE:
            yield from ([row] for row in piece)
        else:
            yield piece


def load(data: bytes, limits: Limits) -> Tables:
    """The tables that were dumped; ValueError for bytes that are not a whole dump of this format."""
    try:
        return _tables(*_unpack_sections(data), limits)
    except ValueError as error:
        raise ValueError(f"state: {error}") from None


def _tables(header: list[int], sections: list[list[Any]], limits: Limits) -> Tables:
    index, kv_changed, kv_floor, nodes, services, checks, node_floor, service_floor, results_floor = header
    tombstones_max = limits.tombstones_max
    kv_gone = Tombstones(tombstones_max, kv_floor, _pairs(sections[1], raw))
    kv = KVTable(kv_gone, kv_changed, map(_ENTRY.record, sections[0]))
    catalog = Catalog(
        Tombstones(tombstones_max, node_floor, _pairs(sections[6], raw)),
        Tombstones(tombstones_max, service_floor, _pairs(sections[8], raw)),
        Counters(nodes, services, checks),
    )
    catalog.restore(
        map(_NODE.record, sections[2]), map(_SERVICE.record, sections[3]), map(_CHECK.record, sections[4])
    )
    catalog.node_indexes.update(_pairs(sections[5], text))
    catalog.service_indexes.update(_pairs(sections[7], text))
    catalog.check_indexes()
    results = Results(limits.results_max, results_floor, map(_result, sections[9]))
    return Tables(index, kv, catalog, results)


_SECTIONS = 10


def _unpack_sections(data: bytes) -> tuple[list[int], list[list[Any]]]:
    """Header and rows by section; ValueError unless everything is there, in order."""
    if data[:1] != bytes((codec.VERSION,)):
        raise ValueError("not of a format version that this release knows")
    unpacker = msgpack.Unpacker(unicode_errors="surrogateescape", max_buffer_size=len(data))
    unpacker.feed(memoryview(data)[1:])
    sections: list[list[Any]] = [[] for _ in range(_SECTIONS)]
    header = _header_from(_next(unpacker))
    last = 0
    while True:
        number, rows = _pair(_next(unpacker))
        if number == _END:
            break
        if type(number) is not int or not last <= number < _SECTIONS or type(rows) is not list:
            raise ValueError("sections are not in order")
        sections[number] += rows
        last = number
    if rows != sum(map(len, sections)) or unpacker.tell() != len(data) - 1:
        raise ValueError("rows are missing, or something follows the end")
    return header, sections


def _next(unpacker: Any) -> object:
    try:
        return unpacker.unpack()
    except (
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
        MemoryError,
        msgpack.UnpackException,
    ) as error:
        raise ValueError(f"malformed: {error or type(error).__name__}") from None


def _header_from(row: object) -> list[int]:
    if type(row) is not list or len(row) != 9:
        raise ValueError("no header")
    return [unsigned(value) for value in row]


def _pair(row: object) -> list[Any]:
    if type(row) is not list or len(row) != 2:
        raise ValueError("not an array of 2 fields")
    return row


def _pairs(rows: Iterable[object], name: Callable[[object], Any]) -> Iterator[tuple[Any, int]]:
    for row in rows:
        key, index = _pair(row)
        yield name(key), unsigned(index)


def _result(row: object) -> tuple[bytes, Any]:
    if type(row) is not list or not row:
        raise ValueError("not a result")
    return raw(row[0]), result_from_row(row[1:])
