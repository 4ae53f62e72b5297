"""All that a state consists of."""

from dataclasses import dataclass

from raftreg.state.autopilot import AutopilotTable
from raftreg.state.catalog import Catalog, Counters
from raftreg.state.config_entries import ConfigEntries
from raftreg.state.coordinates import Coordinates
from raftreg.state.events import Events
from raftreg.state.kv import KVTable
from raftreg.state.prepared import PreparedTable
from raftreg.state.results import Results
from raftreg.state.sessions import SessionTable
from raftreg.state.tombstones import Tombstones


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is remembered of what is gone."""

    results_max: int
    tombstones_max: int


@dataclass(frozen=True, slots=True)
class Core:
    """The tables that locks and transactions reach across: a rule that changes one may have to change another."""

    kv: KVTable
    catalog: Catalog
    sessions: SessionTable
    prepared: PreparedTable


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables, and the number of the last command. `collected` is what a restore under way has, in raw form."""

    index: int
    kv: KVTable
    catalog: Catalog
    sessions: SessionTable
    results: Results
    events: Events
    config: ConfigEntries
    coordinates: Coordinates
    autopilot: AutopilotTable
    prepared: PreparedTable
    collected: "Collected | None" = None
    level: int = 1  # see `raftreg.versions`


@dataclass(frozen=True, slots=True)
class Collected:
    """The parts of a dump that a restore has brought so far. `index` is what the restored state will begin with."""

    id: str
    index: int
    chunks: tuple[bytes, ...]


def empty(limits: Limits) -> Tables:
    """The state before the first command."""
    gone = Tombstones(limits.tombstones_max), Tombstones(limits.tombstones_max)
    kv = KVTable(Tombstones(limits.tombstones_max))
    return Tables(
        index=1,
        kv=kv,
        catalog=Catalog(*gone, Counters()),
        sessions=SessionTable(),
        results=Results(limits.results_max),
        events=Events(),
        config=ConfigEntries(),
        coordinates=Coordinates(),
        autopilot=AutopilotTable(),
        prepared=PreparedTable(),
    )
