"""Questions about what belongs to the cluster as a whole. As in `raftreg.state.queries`."""

from dataclasses import dataclass

from raftreg.model import Autopilot, ConfigEntry, Coordinate, Event
from raftreg.state.changes import AUTOPILOT, CONFIG, COORDINATES, EVENTS, EVERYTHING, Found, Topic
from raftreg.state.machine import State


@dataclass(frozen=True, slots=True)
class RecentEvents:
    """The events that are remembered, oldest first."""

    def topics(self) -> tuple[Topic, ...]:
        return (EVENTS,)

    def run(self, state: State) -> Found[tuple[Event, ...]]:
        return Found(state.events.changed, tuple(state.events.rows))


@dataclass(frozen=True, slots=True)
class ConfigGet:
    """One configuration entry, or None; the index is that of the table."""

    kind: str
    name: str

    def topics(self) -> tuple[Topic, ...]:
        return (CONFIG,)

    def run(self, state: State) -> Found[ConfigEntry | None]:
        return Found(state.config.changed, state.config.get(self.kind, self.name))


@dataclass(frozen=True, slots=True)
class ConfigList:
    """The configuration entries of a kind, or all for "", by kind and name."""

    kind: str

    def topics(self) -> tuple[Topic, ...]:
        return (CONFIG,)

    def run(self, state: State) -> Found[tuple[ConfigEntry, ...]]:
        return Found(state.config.changed, tuple(state.config.rows(self.kind)))


@dataclass(frozen=True, slots=True)
class AllCoordinates:
    """The coordinates that nodes told, by node and segment."""

    def topics(self) -> tuple[Topic, ...]:
        return (COORDINATES,)

    def run(self, state: State) -> Found[tuple[Coordinate, ...]]:
        return Found(state.coordinates.changed, tuple(state.coordinates.rows()))


@dataclass(frozen=True, slots=True)
class NodeCoordinates:
    """The coordinates of one node, by segment; the index is that of the table."""

    node: str

    def topics(self) -> tuple[Topic, ...]:
        return (COORDINATES,)

    def run(self, state: State) -> Found[tuple[Coordinate, ...]]:
        return Found(state.coordinates.changed, tuple(state.coordinates.of(self.node)))


@dataclass(frozen=True, slots=True)
class AutopilotConfig:
    """What autopilot goes by."""

    def topics(self) -> tuple[Topic, ...]:
        return (AUTOPILOT,)

    def run(self, state: State) -> Found[Autopilot]:
        return Found(state.autopilot.record.modify_index, state.autopilot.record)


@dataclass(frozen=True, slots=True)
class RestoreProgress:
    """The id of the restore that is under way and how many parts it has, or None."""

    def topics(self) -> tuple[Topic, ...]:
        return (EVERYTHING,)

    def run(self, state: State) -> Found[tuple[str, int] | None]:
        staged = state.staged
        return Found(state.index, None if staged is None else (staged.id, len(staged.chunks)))
