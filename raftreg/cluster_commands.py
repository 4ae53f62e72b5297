"""Commands for what belongs to the cluster as a whole: events, configuration, coordinates, and restores of snapshots.

See `raftreg.commands`, which puts them beside the others. A restore comes as one `RestoreBegin`, numbered chunks, and a
`RestoreCommit`: each fits into the log like any other command, and the state changes with the last of them alone.
"""

from dataclasses import dataclass
from typing import Any

from raftreg import versions
from raftreg.codec import (
    Shape,
    flag,
    free,
    integer,
    many,
    mapping,
    optional,
    raw,
    risen,
    seconds,
    text,
    unsigned,
)
from raftreg.errors import NewerFormat
from raftreg.model import Autopilot, ConfigEntry, Coordinate, Event


@dataclass(frozen=True, slots=True)
class FireEvent:
    """Append an event to those that are remembered; its `ltime` is given by the state. Result: int, that time."""

    event: Event


@dataclass(frozen=True, slots=True)
class ConfigSet:
    """Store a configuration entry; with `cas`, only at that modify_index (0: only if absent). Result: bool."""

    entry: ConfigEntry
    cas: int | None = None


@dataclass(frozen=True, slots=True)
class ConfigDelete:
    """Remove a configuration entry. Result: True, also when it was not there."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class CoordinatesUpdate:
    """Set coordinates; those of unknown nodes are dropped. Result: int, how many were set."""

    coordinates: tuple[Coordinate, ...]


@dataclass(frozen=True, slots=True)
class AutopilotSet:
    """Set what autopilot goes by; with `cas`, only if its modify_index is still that. Result: bool."""

    autopilot: Autopilot
    cas: int | None = None


@dataclass(frozen=True, slots=True)
class RestoreBegin:
    """Begin to collect a dump of the whole state; what another restore has collected is dropped.

    `index` is the command index of the dump. Result: True.
    """

    id: str
    index: int


@dataclass(frozen=True, slots=True)
class RestoreChunk:
    """The next part of the dump: whole msgpack objects. `number` counts from 0. Result: True.

    Refused when the restore with that id is not the current one, or the part does not fit.
    """

    id: str
    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class RestoreCommit:
    """Become the state that was collected, if it is whole and has this SHA-256 (hexadecimal). Result: True.

    The memory of results and the events stay. Every index rises above all that were handed out before. Refused, and
    nothing is changed, otherwise.
    """

    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class RestoreAbandon:
    """Drop what the restore with that id has collected. Result: bool, whether there was any."""

    id: str


@dataclass(frozen=True, slots=True)
class LevelRaise:
    """Raise the feature level (`raftreg.versions`) to this, or leave it where it is higher. Result: int, the level."""

    level: int


ClusterCommand = (
    FireEvent
    | ConfigSet
    | ConfigDelete
    | CoordinatesUpdate
    | AutopilotSet
    | RestoreBegin
    | RestoreChunk
    | RestoreCommit
    | RestoreAbandon
    | LevelRaise
)


def _known_level(value: object) -> int:
    """A level that this release knows. Raises NewerFormat for a later one: what follows may not be understood."""
    level = unsigned(value)
    if level > versions.LEVEL_MAX:
        raise NewerFormat(
            f"the cluster was raised to feature level {level}; this release knows levels {versions.LEVEL_MIN} to "
            f"{versions.LEVEL_MAX}"
        )
    return level


_EVENT = Shape(
    Event, id=text, name=text, payload=raw, node_filter=text, service_filter=text, tag_filter=text, ltime=unsigned
)  # fmt: skip
_CONFIG_ENTRY = Shape(
    ConfigEntry, kind=text, name=text, body=mapping(free), create_index=unsigned, modify_index=unsigned
)  # fmt: skip
_COORDINATE = Shape(
    Coordinate, node=text, segment=text, vector=many(seconds), error=seconds, adjustment=seconds, height=seconds
)  # fmt: skip
_AUTOPILOT = Shape(
    Autopilot, cleanup_dead_servers=flag, last_contact_threshold_ns=integer, max_trailing_logs=unsigned,
    min_quorum=unsigned, server_stabilization_ns=integer, redundancy_zone_tag=text,
    disable_upgrade_migration=flag, upgrade_version_tag=text, create_index=unsigned, modify_index=unsigned,
)  # fmt: skip

# In the order of their numbers, within those of `raftreg.commands`: new ones go to the end there, not here.
CLUSTER_SHAPES: tuple[Shape[Any], ...] = (
    Shape(FireEvent, event=_EVENT.record),
    Shape(ConfigSet, entry=_CONFIG_ENTRY.record, cas=optional(unsigned)),
    Shape(ConfigDelete, kind=text, name=text),
    Shape(CoordinatesUpdate, coordinates=many(_COORDINATE.record)),
    Shape(AutopilotSet, autopilot=_AUTOPILOT.record, cas=optional(unsigned)),
    Shape(RestoreBegin, id=text, index=risen),
    Shape(RestoreChunk, id=text, number=unsigned, data=raw),
    Shape(RestoreCommit, id=text, digest=text),
    Shape(RestoreAbandon, id=text),
)
LEVEL_RAISE = Shape(LevelRaise, level=_known_level)
