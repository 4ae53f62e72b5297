"""What an engine is given: times, and functions that act on the world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from raftreg.clock import Clock
from raftreg.consensus.snapshot import Jobs
from raftreg.versions import Range


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `lease_s` is how long a member that heard its leader votes for nobody else, come what may."""

    election_min_s: float = 0.15
    election_max_s: float = 0.30
    heartbeat_s: float = 0.06
    lease_s: float = 0.03


@dataclass(frozen=True, slots=True)
class World:
    """What the engine is given to act on the world: one function each, so that a simulation can supply its own."""

    outlet: Callable[[str, list[Any]], bool]
    clock: Clock
    jobs: Jobs
    want_tick: Callable[[], None]
    want_sync: Callable[[], None]
    on_change: Callable[[], None]
    # What a long job calls between two pieces of its work, to leave the machine to others for a moment.
    rest: Callable[[], None]
    # The member set in use, the committed one, or the feature level is another one.
    on_members: Callable[[], None] = lambda: None
    # A member that is not in the committed set asks for votes.
    on_outsider: Callable[[str], None] = lambda member: None
    # Member id -> host:port, as far as this node knows them.
    addresses: Callable[[], Mapping[str, str]] = dict
    # The feature levels that a connected process knows, None if it is not connected.
    levels_of: Callable[[str], Range | None] = lambda member: None
