"""The nouns of the registry: frozen records, replaced as a whole, never changed in place.

Mappings inside records are treated as immutable too. Field names are Python's; Consul's JSON names live in
`raftreg.api` alone. `create_index` and `modify_index` count commands (see `raftreg.state`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["passing", "warning", "critical"]
Behavior = Literal["release", "delete"]
SERF_HEALTH = "serfHealth"  # the check id by which the cluster says whether a node is alive
SERVER_SERVICE = "consul"  # the service under which raftreg's own nodes are found, as clients expect
HTTP_META = "http"  # the key in the meta of that service under which a node tells where its HTTP API is


@dataclass(frozen=True, slots=True)
class KVEntry:
    """One key. `flags` is an unsigned 64 bit number that means something to clients only."""

    key: str
    value: bytes
    flags: int
    lock_index: int
    session: str | None
    create_index: int
    modify_index: int


@dataclass(frozen=True, slots=True)
class Node:
    """A host. Names compare without regard to case."""

    name: str
    id: str  # a UUID, or "" if the registrar gave none
    address: str
    tagged_addresses: Mapping[str, str] | None = None
    meta: Mapping[str, str] | None = None
    create_index: int = 0
    modify_index: int = 0


@dataclass(frozen=True, slots=True)
class Weights:
    """DNS SRV weights by state."""

    passing: int = 1
    warning: int = 1


@dataclass(frozen=True, slots=True)
class Service:
    """One instance of a service on a node; `id` is unique on that node.

    `extra` keeps what raftreg stores and gives back but does not act on (Kind, Proxy, Connect, ...), in the JSON
    shape of the API. `None` for tags, meta or tagged_addresses means that the registrar did not give them: answers tell
    null from empty.
    """

    node: str
    id: str
    name: str
    tags: tuple[str, ...] | None = None
    address: str = ""
    port: int = 0
    tagged_addresses: Mapping[str, Mapping[str, object]] | None = None
    meta: Mapping[str, str] | None = None
    weights: Weights = field(default_factory=Weights)
    enable_tag_override: bool = False
    extra: Mapping[str, object] | None = None
    create_index: int = 0
    modify_index: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """How the status of a check is found out. Durations in seconds; 0 means not given.

    `kind` is ttl, http, tcp, udp, grpc, script or alias. `options` keeps the rest of the definition in the JSON shape
    of the API (HTTP, Method, Header, Body, TCP, Args, TLSSkipVerify, AliasNode, AliasService, ...).
    """

    kind: str
    ttl_s: float = 0.0
    interval_s: float = 0.0
    timeout_s: float = 0.0
    deregister_after_s: float = 0.0
    success_before_passing: int = 0
    failures_before_critical: int = 0
    options: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A health check of a node (service_id "") or of one service on it; `id` is unique on that node.

    `status` is one of passing, warning, critical, but the catalog stores any text that a registrar gives.
    `definition` is what a catalog registration gave as Definition (JSON shape); `probe` is how raftreg finds the status
    out itself, for checks that came through the agent API.
    """

    node: str
    id: str
    name: str
    status: str = "critical"
    notes: str = ""
    output: str = ""
    service_id: str = ""
    service_name: str = ""
    service_tags: tuple[str, ...] | None = None
    type: str = ""
    definition: Mapping[str, object] | None = None
    probe: Probe | None = None
    create_index: int = 0
    modify_index: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """A user event. The filters are regular expressions, "" for none; `ltime` counts the events of the cluster."""

    id: str  # a UUID
    name: str
    payload: bytes
    node_filter: str = ""
    service_filter: str = ""
    tag_filter: str = ""
    ltime: int = 0


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """A configuration entry. `body` is what it says beside kind and name, in the JSON shape of the API."""

    kind: str
    name: str
    body: Mapping[str, object]
    create_index: int = 0
    modify_index: int = 0


@dataclass(frozen=True, slots=True)
class Coordinate:
    """Where a node is in the network, in seconds of round-trip time (Vivaldi). `segment` is "" for the whole."""

    node: str
    segment: str
    vector: tuple[float, ...]
    error: float
    adjustment: float
    height: float


@dataclass(frozen=True, slots=True)
class Autopilot:
    """What operators set for the health of servers. Durations in nanoseconds, as exact as they were given."""

    cleanup_dead_servers: bool = False  # unlike Consul's: what is taken away is not asked for
    last_contact_threshold_ns: int = 200_000_000
    max_trailing_logs: int = 250
    min_quorum: int = 0
    server_stabilization_ns: int = 10_000_000_000
    redundancy_zone_tag: str = ""
    disable_upgrade_migration: bool = False
    upgrade_version_tag: str = ""
    create_index: int = 1
    modify_index: int = 1


@dataclass(frozen=True, slots=True)
class Session:
    """Who may hold locks: a name for a client that lives as long as its node, its checks and its TTL do.

    `checks`, `node_checks` and `service_checks` are ids of checks on `node`, in the three ways in which clients give
    them, those of services with a namespace that means nothing here; `checks` is None if it was not given. `ttl` is the
    text that the client gave, `ttl_s` what it means (0: no TTL). Locks of a session that ended cannot be acquired for
    `lock_delay_ns` nanoseconds, but for a minute at most.
    """

    id: str  # a UUID in lower case
    node: str
    name: str = ""
    behavior: Behavior = "release"
    ttl: str = ""
    ttl_s: float = 0.0
    lock_delay_ns: int = 0
    checks: tuple[str, ...] | None = None
    node_checks: tuple[str, ...] = ()
    service_checks: tuple[tuple[str, str], ...] | None = None
    create_index: int = 0
    modify_index: int = 0

    def check_ids(self) -> tuple[str, ...]:
        """The checks that it depends on, in the order in which they are looked up."""
        of_services = (check_id for check_id, _ in self.service_checks or ())
        return (*(self.checks or ()), *self.node_checks, *of_services)


@dataclass(frozen=True, slots=True)
class Template:
    """How a prepared query with type name_prefix_match is made from the name that it was looked up by."""

    type: str = ""  # "" or name_prefix_match
    regexp: str = ""
    remove_empty_tags: bool = False


@dataclass(frozen=True, slots=True)
class ServiceQuery:
    """Which instances a prepared query finds. None means that it was not given: answers tell null from empty.

    `tags` with a leading ! are those an instance must not have. The datacenters are kept for clients and never asked.
    """

    service: str
    only_passing: bool = False
    ignore_check_ids: tuple[str, ...] | None = None
    near: str = ""
    tags: tuple[str, ...] | None = None
    node_meta: Mapping[str, str] | None = None
    service_meta: Mapping[str, str] | None = None
    connect: bool = False
    failover_nearest: int = 0
    failover_datacenters: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A question about a service under a name or an id, to be asked over HTTP or DNS. Names compare without case.

    One with a session goes when that ends. `dns_ttl` is a duration as the client wrote it, or "".
    """

    id: str  # a UUID
    name: str
    service: ServiceQuery
    session: str = ""
    token: str = ""
    template: Template = field(default_factory=Template)
    dns_ttl: str = ""
    create_index: int = 0
    modify_index: int = 0


def moved_from(node: str) -> str:
    """What ids of a service and its checks end with, once moved from a lost node to one where they are taken."""
    return f"@{node.lower()}"
