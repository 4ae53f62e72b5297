"""From the bytes of `raftreg.state.snapshot` to tables, at once or part by part.

A state that is restored from an archive is not the one that was dumped: all its indexes are raised to one number above
every index that was handed out (`lift`), what is gone is forgotten below that number, and the memory of results,
the events and whatever restore was under way are not taken from the archive.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgpack

from raftreg import codec
from raftreg.codec import MALFORMED, Shape, raw, text, unsigned
from raftreg.commands import result_from_row
from raftreg.errors import NewerFormat
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
from raftreg.state.autopilot import AutopilotTable
from raftreg.state.catalog import Catalog, Counters
from raftreg.state.changes import fold
from raftreg.state.config_entries import ConfigEntries
from raftreg.state.coordinates import Coordinates
from raftreg.state.events import Events
from raftreg.state.kv import KVTable
from raftreg.state.prepared import PreparedTable
from raftreg.state.results import Results
from raftreg.state.sessions import LockDelay, SessionTable
from raftreg.state.snapshot import END
from raftreg.state.tables import Collected, Limits, Tables
from raftreg.state.tombstones import Tombstones

Rows = list[Any]
Parse = Callable[[Rows], Iterable[Any]]

# Those without a default are in every dump; the others came later.
_COUNTERS = 18
_COUNTERS_MIN = 9
_EVENTS_FIRED, _LEVEL = 9, 17  # numbers, where the others are indexes
# Numbers of sections.
_ENTRIES, _NODES, _SERVICES, _CHECKS, _SESSIONS, _QUERIES = 0, 2, 3, 4, 15, 17


class _LaterRelease(ValueError):
    """What is to be loaded is of a later release. A restore, which every node has to judge alike, takes it as wrong."""


def load(data: bytes, limits: Limits) -> Tables:
    """The tables that were dumped; ValueError for bytes that are not a whole dump of this format.

    NewerFormat for a dump of a newer release.
    """
    try:
        if data[:1] > bytes((codec.VERSION,)):
            raise _LaterRelease(f"format version {data[0]}; this release knows {codec.VERSION}")
        if data[:1] != bytes((codec.VERSION,)):
            raise ValueError("not of a format version that this release knows")
        loader = Loader(limits)
        loader.feed(memoryview(data)[1:])
        return loader.finish()
    except _LaterRelease as error:
        raise NewerFormat(f"state: {error}") from None
    except ValueError as error:
        raise ValueError(f"state: {error}") from None


class Loader:
    """Takes the parts of a dump, without its version byte. With `lift` all indexes become that one."""

    def __init__(self, limits: Limits, lift: int | None = None) -> None:
        self._limits = limits
        self._lift = lift
        self._header: list[int] | None = None
        self._parsers = _parsers(lift)
        self._sections: list[list[Any]] = [[] for _ in self._parsers]
        self._last = 0
        self._count = 0
        self._ended = False

    def feed(self, data: bytes | memoryview) -> None:
        """The next part, which consists of whole msgpack objects. ValueError if it is not what is to follow."""
        unpacker = msgpack.Unpacker(unicode_errors="surrogateescape", max_buffer_size=max(1, len(data)))
        unpacker.feed(data)
        while unpacker.tell() < len(data):
            self._take(_next(unpacker))

    def _take(self, row: object) -> None:
        if self._header is None:
            self._header = _header_from(row)
            return
        number, rows = _pair(row)
        if self._ended:
            raise ValueError("something follows the end")
        if number == END:
            if rows != self._count:
                raise ValueError("rows are missing")
            self._ended = True
            return
        if type(number) is not int or not self._last <= number < len(self._parsers) or type(rows) is not list:
            raise ValueError("sections are not in order")
        self._sections[number] += self._parsers[number](rows)
        self._count += len(rows)
        self._last = number

    def finish(self) -> Tables:
        """The tables, once everything was fed; ValueError if something is missing or does not fit together."""
        if self._header is None or not self._ended:
            raise ValueError("the end is missing")
        header = self._header
        if self._lift is not None:
            header = [self._lift] * len(header)
        numbers = self._header[_EVENTS_FIRED], self._header[_LEVEL]
        return _tables(header, self._sections, self._limits, numbers)


def _parsers(lift: int | None) -> tuple[Parse, ...]:
    """How the rows of each section are read. Each runs when its part comes, so that the end of a restore is short."""
    kept = lift is None
    return (
        _records(codec.SHAPES[KVEntry], lift),
        _pairs(raw) if kept else _nothing,
        _records(codec.SHAPES[Node], lift),
        _records(codec.SHAPES[Service], lift),
        _records(codec.SHAPES[Check], lift),
        _pairs(text, lift),
        _pairs(raw) if kept else _nothing,
        _pairs(text, lift),
        _pairs(raw) if kept else _nothing,
        (lambda rows: map(_result, rows)) if kept else _nothing,
        _records(codec.SHAPES[Event], None) if kept else _nothing,
        _records(codec.SHAPES[ConfigEntry], lift),
        _records(codec.SHAPES[Coordinate], None),
        _records(codec.SHAPES[Autopilot], lift),
        (lambda rows: map(_collected_row, rows)) if kept else _nothing,
        _records(codec.SHAPES[Session], lift),
        _delays(lift),
        _records(codec.SHAPES[PreparedQuery], lift),
    )


def _tables(header: list[int], sections: list[list[Any]], limits: Limits, numbers: tuple[int, int]) -> Tables:
    """`numbers`: how many events were fired, and the level; of the dump itself, whatever was made of its indexes."""
    fired, level = numbers
    index, kv_changed, kv_floor, nodes, services, checks, node_floor, service_floor, results_floor = header[
        :9
    ]
    _, events_changed, config_changed, coordinates_changed, *of_sessions, prepared_changed = header[9:_LEVEL]
    entries, kv_gone, node_rows, service_rows, check_rows, node_indexes, nodes_gone = sections[:7]
    service_indexes, services_gone, results, events, config, coordinates, autopilot, collected = sections[
        7:15
    ]
    *session_rows, prepared = sections[15:]
    tombstones_max = limits.tombstones_max
    kv = KVTable(Tombstones(tombstones_max, kv_floor, kv_gone), kv_changed, entries)
    catalog = Catalog(
        Tombstones(tombstones_max, node_floor, nodes_gone),
        Tombstones(tombstones_max, service_floor, services_gone),
        Counters(nodes, services, checks),
    )
    catalog.restore(node_rows, service_rows, check_rows)
    catalog.node_indexes.update(node_indexes)
    catalog.service_indexes.update(service_indexes)
    catalog.check_indexes()
    sessions = _sessions(of_sessions, *session_rows)
    if not kv.held.keys() <= sessions.sessions.keys():
        raise ValueError("a key is locked by a session that is not there")
    queries = PreparedTable(prepared_changed, prepared)
    _refuse_twins(sections, kv, catalog, sessions, queries)
    return Tables(
        index=index,
        kv=kv,
        catalog=catalog,
        sessions=sessions,
        results=Results(limits.results_max, results_floor, results),
        events=Events(fired, events_changed, events),
        config=ConfigEntries(config_changed, config),
        coordinates=Coordinates(coordinates_changed, coordinates),
        autopilot=AutopilotTable(autopilot[-1] if autopilot else None),
        prepared=queries,
        collected=_collected(collected),
        level=level,
    )


def _refuse_twins(
    sections: list[list[Any]], kv: KVTable, catalog: Catalog, sessions: SessionTable, queries: PreparedTable
) -> None:
    """Raise ValueError if two records are the same thing: no dump has them, and the indexes would name only one."""
    hosts = catalog.hosts.values()
    named = [query.name for query in queries.queries.values() if query.name or query.template.type]
    there = {
        _ENTRIES: len(kv.entries),
        _NODES: len(hosts),
        _SERVICES: sum(len(host.services) for host in hosts),
        _CHECKS: sum(len(host.checks) for host in hosts),
        _SESSIONS: len(sessions.sessions),
        _QUERIES: len(queries.queries),
    }
    if any(len(sections[number]) != count for number, count in there.items()):
        raise ValueError("a record is there twice")
    if len(set(map(fold, named))) != len(named):
        raise ValueError("two prepared queries have the same name")


def _sessions(header: list[int], rows: list[Session], delays: list[tuple[bytes, LockDelay]]) -> SessionTable:
    changed, keeper, delays_changed = header
    return SessionTable(changed, keeper, delays_changed, rows, delays)


def _delays(lift: int | None) -> Parse:
    """Lock delays. With `lift` they begin anew with that number, so that none is taken for one that ended before."""

    def parse(rows: Rows) -> Iterator[tuple[bytes, LockDelay]]:
        for row in rows:
            if type(row) is not list or len(row) != 3:
                raise ValueError("not a lock delay")
            index = unsigned(row[2])
            yield raw(row[0]), LockDelay(unsigned(row[1]), index if lift is None else lift)

    return parse


def _nothing(rows: Rows) -> Iterable[Any]:
    """For sections that are not taken."""
    return ()


def _records(shape: Shape[Any], lift: int | None) -> Parse:
    """Records; with `lift` their modify_index, which is their last field, becomes that."""

    def parse(rows: Rows) -> Iterator[Any]:
        for row in rows:
            if lift is not None and type(row) is list and row:
                row[-1] = lift
            yield shape.record(row)

    return parse


def _pairs(name: Callable[[object], Any], lift: int | None = None) -> Parse:
    """Names with indexes."""

    def parse(rows: Rows) -> Iterator[tuple[Any, int]]:
        for row in rows:
            key, index = _pair(row)
            yield name(key), unsigned(index) if lift is None else lift

    return parse


def _collected_row(row: object) -> tuple[str, bytes, int]:
    if type(row) is not list or len(row) != 3:
        raise ValueError("not a part of a restore")
    return text(row[0]), raw(row[1]), unsigned(row[2])


def _collected(rows: list[tuple[str, bytes, int]]) -> Collected | None:
    if not rows:
        return None
    (restore_id, _, index), *chunks = rows
    return Collected(restore_id, index, tuple(chunk for _, chunk, _ in chunks))


def _result(row: object) -> tuple[bytes, Any]:
    if type(row) is not list or not row:
        raise ValueError("not a result")
    return raw(row[0]), result_from_row(row[1:])


def _next(unpacker: Any) -> object:
    try:
        return unpacker.unpack()
    except MALFORMED as error:
        raise ValueError(f"malformed: {error or type(error).__name__}") from None


def _header_from(row: object) -> list[int]:
    if type(row) is list and len(row) > _COUNTERS:
        raise _LaterRelease(f"a header of {len(row)} counters; this release knows {_COUNTERS}")
    if type(row) is not list or not _COUNTERS_MIN <= len(row) <= _COUNTERS:
        raise ValueError("no header")
    header = [unsigned(value) for value in row]
    later = [0, 1, 1, 1, 1, 0, 1, 1, 1]  # as in an empty state
    return header + later[len(header) - _COUNTERS_MIN :]


def _pair(row: object) -> list[Any]:
    if type(row) is not list or len(row) != 2:
        raise ValueError("not an array of 2 fields")
    return row
