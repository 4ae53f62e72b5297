"""What one command changed: its number, and the topics that tell waiting queries to look again."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from raftreg.commands import Result

Topic = tuple[str, str]  # (what, which): see raftreg.state
T_co = TypeVar("T_co", covariant=True)

EVERYTHING: Topic = ("*", "")  # the state was replaced as a whole
NODES: Topic = ("nodes", "")
SERVICES: Topic = ("services", "")
CHECKS: Topic = ("checks", "")
EVENTS: Topic = ("events", "")
CONFIG: Topic = ("config", "")
COORDINATES: Topic = ("coordinates", "")
AUTOPILOT: Topic = ("autopilot", "")
SESSIONS: Topic = ("sessions", "")
LOCK_DELAYS: Topic = ("lock-delays", "")
PREPARED: Topic = ("prepared", "")


def fold(name: str) -> str:
    """The form of a node or service name by which it is looked up."""
    return name.lower()


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of one command. `topics` is what changed, each once; empty if nothing did."""

    result: Result
    topics: tuple[Topic, ...] = ()


@dataclass(frozen=True, slots=True)
class Found(Generic[T_co]):
    """The answer to a query, and the number of the command that last changed it (at least 1)."""

    index: int
    value: T_co


@dataclass(slots=True)
class Changes:
    """Collected while one command is applied. `index` is the command's number.

    `lost` names the checks that went or turned critical, as (folded node name, check id), and the nodes that went, with
    None for the id: sessions that lean on them end with the same command. `gone` has the folded names of nodes that
    went at some time within the command, for what is known of nodes beside the catalog.
    """

    index: int
    topics: dict[Topic, None] = field(default_factory=dict)  # an ordered set
    lost: list[tuple[str, str | None]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def touch(self, topic: Topic) -> None:
        """Note that the answer to some query on this topic is different now."""
        self.topics[topic] = None
