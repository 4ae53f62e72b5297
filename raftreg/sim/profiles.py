"""Named mixes of faults: what a run is biased for."""

from dataclasses import dataclass, field, replace

from raftreg.sim.network import Weather


@dataclass(frozen=True, slots=True)
class Membership:
    """Within what bounds the operator of a cluster changes its members."""

    voters_min: int = 3
    voters_max: int = 5
    members_max: int = 5
    wanted: int = 3  # members in the end, at least


@dataclass(frozen=True, slots=True)
class Profile:
    """How a cluster is made and what happens to it. Times in seconds, rates per second, weights relative."""

    name: str
    hosts: int = 3
    founders: int = 0  # how many hosts make the cluster, 0 for all
    membership: Membership | None = None  # None: the members never change
    faults: dict[str, int] = field(default_factory=dict)  # kind -> weight, see `raftreg.sim.faults`
    fault_rate: float = 0.0
    lasts_s: float = 0.0  # at least so long lasts each fault that does not end by itself
    clients: int = 4
    think_s: float = 0.25
    watchers: int = 1
    lockers: int = 0
    restores: int = 0  # weight of restores from an archive among the calls of clients
    without: frozenset[str] = frozenset()  # rules that do not count: a restore undoes what was acknowledged
    snapshot_entries: int = 60
    slow_syncs: float = 0.01
    drift: float = 0.03
    timing: float = 2.0  # times the product's shortest election timeouts
    weather: Weather = field(default_factory=Weather)
    send_limit: int = 4000
    results_max: int = 256


CRASHES = {"kill": 6, "kill-leader": 6, "trap-leader": 6, "restart": 2, "restart-leader": 2}
POWER = {
    "one-of-two": 4,
    "vote-and-die": 4,
    "power": 6,
    "power-leader": 6,
    "power-all": 3,
    "kill": 2,
    "slow-disk": 3,
    "slow-leader": 3,
}
CUTS = {
    "cut": 4,
    "isolate-leader": 4,
    "one-way": 3,
    "bridge": 2,
    "reset": 3,
    "reset-leader": 4,
    "stall": 3,
    "late": 3,
    "long-stall": 2,
}
PAUSES = {"pause": 4, "pause-leader": 6, "suspend-leader": 4, "wall-jump": 1}
DISKS = {
    "slow-disk": 5,
    "slow-leader": 5,
    "slow-all": 2,
    "io-error": 2,
    "full": 2,
    "full-leader": 2,
    "power-leader": 3,
    "one-of-two": 4,
}
EVERYTHING = {
    kind: max(weights.get(kind, 0) for weights in (CRASHES, POWER, CUTS, PAUSES, DISKS))
    for kind in {**CRASHES, **POWER, **CUTS, **PAUSES, **DISKS, "flap": 3, "duplicate": 1, "full-stop": 1}
}
CHANGES = {"change": 26, "change-kill": 2, "change-cut": 2}
# A change about each 0.4 s, a lost disk each 4 s, another fault each 1.2 s.
COMING_AND_GOING = {
    **CHANGES,
    "lose-disk": 3,
    "kill": 2,
    "kill-leader": 2,
    "power": 2,
    "full-stop": 1,
    "cut": 2,
    "isolate-leader": 1,
    "stall": 2,
    "late": 1,
    "pause": 1,
}

_ALL = (
    Profile("calm"),
    Profile("crash", faults=CRASHES, fault_rate=0.7),
    Profile("power", faults=POWER, fault_rate=0.8, slow_syncs=0.03),
    Profile("partition", faults=CUTS, fault_rate=0.8),
    Profile("slow-disk", faults=DISKS, fault_rate=0.7, slow_syncs=0.1),
    Profile("pause", faults=PAUSES, fault_rate=0.8),
    Profile(
        "flap",
        faults={"flap": 6, "late": 4, "reset": 4, "reset-leader": 6, "one-way": 2, "kill-leader": 1},
        fault_rate=0.8,
    ),
    Profile("mixed", faults=EVERYTHING, fault_rate=1.0),
    Profile("five", hosts=5, faults=EVERYTHING, fault_rate=1.2),
    Profile("single", hosts=1, faults={**POWER, "io-error": 1, "full": 1}, fault_rate=0.6, slow_syncs=0.1),
    Profile("bootstrap", faults={"kill": 4, "power": 4, "cut": 3, "reset": 3, "pause": 2}, fault_rate=3.0),
    Profile("wipe", faults={**CRASHES, "wipe": 2, "wipe-one": 20}, fault_rate=0.5),
    Profile("locks", faults=EVERYTHING, fault_rate=0.8, clients=1, lockers=3),
    Profile(
        "restores",
        faults=CRASHES,
        fault_rate=0.3,
        restores=2,
        without=frozenset({"durability", "linearizability"}),
    ),
    Profile("hung", faults={"hang-leader": 4, "hang": 1}, fault_rate=0.12, lasts_s=8.0),
    Profile(
        "votes",
        faults={"vote-and-die": 6, "one-of-two": 2, "power-leader": 2, "late": 1},
        fault_rate=0.8,
        slow_syncs=0.03,
    ),
    Profile("crossing", faults={"crossing": 8, "kill": 1}, fault_rate=1.2),
    Profile("snapshots", faults={"copy-power": 6, "power": 1}, fault_rate=1.0, snapshot_entries=25),
    Profile(
        "duplicates",
        hosts=5,
        faults={"split": 8, "kill-leader": 4, "reset": 3, "cut": 2, "late": 2},
        fault_rate=1.5,
        clients=2,
        weather=Weather(delay_s=0.004, spread_s=0.04, duplicate=0.4),
    ),
    Profile(
        "unsaid",
        faults={"trap-leader": 1},
        fault_rate=1.0,
        slow_syncs=0.3,
        weather=Weather(delay_s=0.002, spread_s=0.02),
    ),
    Profile(
        "lasting",
        faults={
            "deafen": 6,
            "hang-leader": 6,
            "isolate-leader": 2,
            "pause-leader": 2,
            "one-way": 2,
            "bridge": 2,
            "power": 1,
            "flap": 2,
        },
        fault_rate=0.12,
        lasts_s=8.0,
    ),
    Profile("long-tail", faults={"tail-kill": 1}, fault_rate=0.4, snapshot_entries=400, think_s=0.1),
    Profile("deaf", faults={"reset-leader": 1, "hand-over-leader": 1}, fault_rate=0.7, think_s=0.1),
    Profile("stale", hosts=5, faults={"stale-ack": 1}, fault_rate=0.35, snapshot_entries=400),
    Profile(
        "tails",
        faults={"tail": 6, "tail-power": 4, "tail-kill": 4, "isolate-leader": 2, "kill-leader": 1},
        fault_rate=0.9,
        think_s=0.1,
        snapshot_entries=25,
    ),
    Profile("narrow", faults={**CUTS, "slow-disk": 2}, fault_rate=0.8, send_limit=4, think_s=0.05),
)
_MEMBERS = (
    Profile(
        "members-three",
        hosts=6,
        founders=3,
        membership=Membership(),
        faults=COMING_AND_GOING,
        fault_rate=3.2,
        snapshot_entries=40,
    ),
    Profile(
        "members-five",
        hosts=7,
        founders=5,
        membership=Membership(members_max=6),
        faults=COMING_AND_GOING,
        fault_rate=3.2,
    ),
    Profile(
        "members-one",
        hosts=6,
        founders=1,
        membership=Membership(voters_min=1, wanted=1),
        faults=COMING_AND_GOING,
        fault_rate=3.2,
    ),
    Profile(
        "members-slow",
        hosts=6,
        founders=3,
        membership=Membership(),
        faults={
            **COMING_AND_GOING,
            "change": 14,
            "change-kill": 8,
            "change-cut": 8,
            "lose-disk": 9,
            "slow-disk": 3,
            "slow-all": 1,
            "kill": 4,
            "power-leader": 3,
        },
        fault_rate=5.0,
        slow_syncs=0.3,
    ),
    Profile(
        "members-few",
        hosts=5,
        founders=3,
        membership=Membership(voters_min=2, wanted=2),
        faults=COMING_AND_GOING,
        fault_rate=3.2,
        snapshot_entries=15,
    ),
    Profile(
        "members-former",
        hosts=6,
        founders=3,
        membership=Membership(),
        faults={**COMING_AND_GOING, "lose-disk": 6, "former-disk": 12},
        fault_rate=3.6,
        snapshot_entries=40,
    ),
    Profile(
        "members-copies",
        hosts=5,
        founders=3,
        membership=Membership(members_max=4),
        faults={"old-copy": 20, "restart": 2, "kill": 2, "change": 8, "lose-disk": 1, "isolate-leader": 1},
        fault_rate=1.2,
    ),
    Profile(
        "members-bootstrap",
        hosts=5,
        founders=3,
        membership=Membership(),
        faults={"kill": 4, "power": 4, "cut": 3, "reset": 3, "pause": 2, "change": 6, "change-kill": 2},
        fault_rate=4.0,
    ),
    Profile(
        "members-even",
        hosts=6,
        founders=2,
        membership=Membership(voters_min=2, voters_max=4, members_max=4, wanted=2),
        faults={**COMING_AND_GOING, "bridge": 2, "one-way": 2},
        fault_rate=3.2,
        snapshot_entries=40,
    ),
)
PROFILES: dict[str, Profile] = {profile.name: profile for profile in (*_ALL, *_MEMBERS)}
GROUPS: dict[str, tuple[str, ...]] = {  # each seed takes the next one of them
    "all": tuple(PROFILES),
    "members": tuple(profile.name for profile in _MEMBERS),
}


def of(name: str, **changes: object) -> Profile:
    """A profile by name, changed."""
    return replace(PROFILES[name], **changes)  # type: ignore[arg-type]  # named fields
