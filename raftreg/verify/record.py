"""Everything that a run leaves behind for judgement and drawing. Written by one event loop, only added to."""

from dataclasses import dataclass, field

from raftreg.checkers.history import Sighting


@dataclass(frozen=True, slots=True)
class Call:
    """One call for the timeline. `ok` as in `Operation`."""

    workload: str
    node: str
    is_write: bool
    invoked_s: float
    returned_s: float
    ok: bool | None


@dataclass(slots=True)
class FaultEvent:
    """One fault: `kind` and what it was in words; `until_s` is when it was undone, None while it lasts."""

    kind: str
    text: str
    nodes: tuple[str, ...]
    since_s: float
    until_s: float | None = None
    problem: str = ""  # why it could not be done


@dataclass(frozen=True, slots=True)
class NodeSample:
    """What a node said of itself. `role` is leader, follower, candidate, or silent without an answer."""

    node: str
    at_s: float
    role: str
    term: int


@dataclass(slots=True)
class Record:
    """One run. Times are seconds on the clock of the run; `began_s` and `ended_s` enclose the load."""

    began_s: float = 0.0
    ended_s: float = 0.0
    calls: list[Call] = field(default_factory=list)
    faults: list[FaultEvent] = field(default_factory=list)
    samples: list[NodeSample] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)  # nodes that ended by themselves, with what they said
    dumps: dict[str, dict[str, str]] = field(
        default_factory=dict
    )  # node -> what it holds at the end, by name
    dumps_problem: str = ""  # why there are none, or not of all
    unknown: int = 0  # calls that changed something, perhaps

    def count(self, workload: str | None = None) -> int:
        """Answered calls, of one workload or of all."""
        return sum(1 for call in self.calls if call.ok and workload in (None, call.workload))
