"""The whole state as bytes.

The format: the version byte of `raftreg.codec`, then msgpack arrays one after the other. The first holds the counters;
then each is [number of a section, rows], a few hundred rows each, sections in order; the last is [-1, how many rows].
All rows of a section are in an order that follows from the state alone, so that equal states have equal bytes. Counters
and sections that a later release adds go to the end; `raftreg.state.loading` takes those that are missing for empty.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from raftreg import codec
from raftreg.codec import Shape
from raftreg.commands import result_row
from raftreg.model import (
    Autopilot,
    Check,
    ConfigEntry,
    Coordinate,
    Event,
    KVEntry,
    Node,
    PreparedQuery,
    Service,
    Session,
)
from raftreg.state.tables import Collected, Tables

ROWS_PER_SLICE = 256
BYTES_PER_SLICE = 1 << 18  # of values; a thread that packs more at once keeps the event loop waiting
END = -1

_ENTRY: Shape[KVEntry] = codec.SHAPES[KVEntry]
_NODE: Shape[Node] = codec.SHAPES[Node]
_SERVICE: Shape[Service] = codec.SHAPES[Service]
_CHECK: Shape[Check] = codec.SHAPES[Check]
_EVENT: Shape[Event] = codec.SHAPES[Event]
_CONFIG_ENTRY: Shape[ConfigEntry] = codec.SHAPES[ConfigEntry]
_COORDINATE: Shape[Coordinate] = codec.SHAPES[Coordinate]
_AUTOPILOT: Shape[Autopilot] = codec.SHAPES[Autopilot]
_SESSION: Shape[Session] = codec.SHAPES[Session]
_PREPARED: Shape[PreparedQuery] = codec.SHAPES[PreparedQuery]


def freeze(tables: Tables) -> Callable[[], Iterator[bytes]]:
    """Copy references to everything, and return the function that encodes the copies, a few hundred rows at a time."""
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
    of_the_cluster = _cluster_sections(tables)
    of_sessions = _session_sections(tables)
    prepared = map(_PREPARED.row, tables.prepared.ordered())

    def encode() -> Iterator[bytes]:
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
            *of_the_cluster,
            *of_sessions,
            prepared,
        ]
        return _parts(header, sections)

    return encode


def _cluster_sections(tables: Tables) -> list[Iterator[Any]]:
    """Events, configuration entries, coordinates, autopilot, and what a restore has collected; copied now."""
    return [
        map(_EVENT.row, list(tables.events.rows)),
        map(_CONFIG_ENTRY.row, tables.config.rows()),
        map(_COORDINATE.row, tables.coordinates.rows()),
        map(_AUTOPILOT.row, [tables.autopilot.record]),
        _collected_rows(tables.collected),
    ]


def _session_sections(tables: Tables) -> list[Iterator[Any]]:
    """Sessions, and keys that may not be locked yet; copied now, sorted when they are encoded."""
    sessions, delays = list(tables.sessions.sessions.values()), list(tables.sessions.delays.items())

    def session_rows() -> Iterator[Any]:
        sessions.sort(key=lambda session: session.id)
        yield from map(_SESSION.row, sessions)

    def delay_rows() -> Iterator[Any]:
        delays.sort(key=lambda row: row[0])
        yield from ((name, delay.delay_ns, delay.index) for name, delay in delays)

    return [session_rows(), delay_rows()]


def _collected_rows(collected: Collected | None) -> Iterator[tuple[Any, ...]]:
    if collected is not None:
        yield collected.id, b"", collected.index
        for chunk in collected.chunks:
            yield "", chunk, 0


def _header(tables: Tables) -> tuple[int, ...]:
    """The counters; the level is left out while it is 1, so that releases that know no level can read the dump."""
    kv, catalog = tables.kv, tables.catalog
    counters = catalog.counters
    level = () if tables.level == 1 else (tables.level,)
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
        tables.events.fired,
        tables.events.changed,
        tables.config.changed,
        tables.coordinates.changed,
        tables.sessions.changed,
        tables.sessions.keeper,
        tables.sessions.delays_changed,
        tables.prepared.changed,
        *level,
    )


# Sections whose rows have a value of any size, and which field that is: entries, results, what a restore collected.
_VALUE_FIELD = {0: 1, 9: 3, 14: 1}


def _parts(header: Sequence[int], sections: Iterable[Iterator[Any]]) -> Iterator[bytes]:
    pack = codec.new_packer()  # a packer of this thread's own
    yield bytes((codec.VERSION,))
    yield pack(header)
    count = 0
    for number, rows in enumerate(sections):
        for piece in _slices(rows, _VALUE_FIELD.get(number)):
            count += len(piece)
            yield pack((number, piece))
    yield pack((END, count))


def _slices(rows: Iterator[Any], value_field: int | None) -> Iterator[list[Any]]:
    """Pieces of a section, each small enough to be packed without keeping other threads waiting."""
    while piece := list(islice(rows, ROWS_PER_SLICE)):
        if value_field is None:
            yield piece
            continue
        sizes = [len(value) if type(value := row[value_field]) is bytes else 0 for row in piece]
        if sum(sizes) <= BYTES_PER_SLICE:
            yield piece
        else:
            yield from _cut(piece, sizes)


def _cut(rows: Sequence[Any], sizes: Sequence[int]) -> Iterator[list[Any]]:
    """Pieces of at most BYTES_PER_SLICE, or of one row."""
    piece: list[Any] = []
    taken = 0
    for row, size in zip(rows, sizes, strict=True):
        if piece and taken + size > BYTES_PER_SLICE:
            yield piece
            piece, taken = [], 0
        piece.append(row)
        taken += size
    yield piece
