"""What a run is told: what to try, on whom, for how long."""

from dataclasses import dataclass, field
from pathlib import Path

from raftreg.addresses import Address, parse_address
from raftreg.errors import RaftregError

WORKLOADS = ("registers", "set", "bank", "locks", "services")
NODE_COUNTS = (3, 5)
WAYS = ("pids", "systemd", "docker", "kubectl")  # to act on the nodes of a running cluster
FAULTS = {
    "kill": "kill -9 of the leader, of another node, or of as many as can be lost",
    "stop": "SIGTERM, as when a node is upgraded",
    "pause": "SIGSTOP: the node believes that no time has passed",
    "partition": "one alone, minority and majority, a bridge, a ring, everybody alone",
    "one-way": "a node is heard and hears nothing, or the reverse",
    "slow": "everything from and to a node takes 5 to 60 ms longer",
    "restart-all": "kill -9 of all nodes at once",
    "wipe": "kill -9 and the data deleted; it comes back empty and is replaced by itself",
    "remove": "a member is taken out, the leader too, and comes back empty",
    "add": "one member more for a while",
    "replace": "a spare node takes the place of a member, and that comes back empty in its place",
    "disk-full": "no file of a node may grow (RLIMIT_FSIZE)",
}


class WrongUse(RaftregError):
    """The options do not go together; the message says what to do."""


class CannotVerify(RaftregError):
    """The run could not be done: the cluster does not answer, or a node does not start. No verdict."""


@dataclass(frozen=True, slots=True)
class Options:
    """One run. `faults` and `workloads` by name, in the order of their tables; durations in seconds."""

    seconds: float = 30.0
    seed: int = 1
    nodes: int = 3  # of the cluster that is started here, if `urls` is empty
    urls: dict[str, Address] = field(default_factory=dict)  # of a running cluster, by node
    faults: tuple[str, ...] = ()
    workloads: tuple[str, ...] = WORKLOADS
    clients: int = 15  # over all workloads
    rate: float = 600.0  # calls per second over all clients, at most
    timeout_s: float = 3.0  # after which a client gives up on a call
    settle_s: float = 30.0  # within which all nodes have to hold the same, once they are well
    report: Path | None = None
    data: Path | None = None  # where the nodes that are started here keep their data
    keep: bool = False  # leave behind what was written and started


def parse_urls(text: str) -> dict[str, Address]:
    """`http://10.0.0.1:8500,http://10.0.0.2:8500`, each with a name before it if wanted (`a=http://...`).

    Nodes without a name are n1, n2 and so on. ValueError with a clear text.
    """
    found: dict[str, Address] = {}
    for number, part in enumerate(text.split(","), 1):
        name, equals, url = part.strip().partition("=")
        if not equals:
            name, url = f"n{number}", name
        scheme, separator, rest = url.rpartition("://")
        if separator and scheme != "http":
            raise ValueError(f'"{url}": only http:// is spoken')
        if not name or name in found:
            raise ValueError(f'"{part}": each node needs a name of its own')
        rest = rest.rstrip("/")
        found[name] = parse_address(rest if ":" in rest.rpartition("]")[2] else f"{rest}:80")
    return found


def parse_pairs(text: str, what: str) -> dict[str, str]:
    """`n1=x,n2=y` by node. ValueError with a clear text."""
    found = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not name or not equals or not value:
            raise ValueError(f'"{part}": write NODE={what}, separated by commas')
        found[name] = value
    return found
