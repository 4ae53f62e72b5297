"""Every question there is about the state: pure, hashable, and aware of what could change its answer.

`topics` names what to wait on; `run` gives the value and the number of the command that last changed it. Tuples are
ordered by node name, then by id; keys by their bytes. Names of nodes and services are looked up without regard to case.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from raftreg.instances import Instance
from raftreg.model import Check, KVEntry, Node, Service, Session
from raftreg.state.catalog import NODE_LEVEL
from raftreg.state.changes import CHECKS, LOCK_DELAYS, NODES, SERVICES, SESSIONS, Found, Topic, fold
from raftreg.state.machine import State
from raftreg.state.sessions import LockDelay
from raftreg.state.tombstones import as_name, as_text

T_co = TypeVar("T_co", covariant=True)


class Query(Protocol[T_co]):
    """A question about the state, usable as a key."""

    def topics(self) -> tuple[Topic, ...]:
        """What to wait on: whenever the answer or its index changes, one of these was notified."""
        ...

    def run(self, state: State) -> Found[T_co]:
        """The answer now."""
        ...


@dataclass(frozen=True, slots=True)
class KVGet:
    """One key. Its index is its own; that of an absent key is the whole table's, but only its creation is notified."""

    key: str

    def topics(self) -> tuple[Topic, ...]:
        return (("kv", self.key),)

    def run(self, state: State) -> Found[KVEntry | None]:
        entry = state.kv.get(self.key)
        return Found(state.kv.changed if entry is None else entry.modify_index, entry)


@dataclass(frozen=True, slots=True)
class KVList:
    """The entries whose keys begin with the prefix, and when any below it changed or was deleted."""

    prefix: str

    def topics(self) -> tuple[Topic, ...]:
        return (("kv-under", self.prefix),)

    def run(self, state: State) -> Found[tuple[KVEntry, ...]]:
        entries = state.kv.under(self.prefix)
        return Found(state.kv.index_under(self.prefix, entries), tuple(entries))


@dataclass(frozen=True, slots=True)
class KVKeys:
    """The keys that begin with the prefix, each cut after the first separator that follows the prefix, each once."""

    prefix: str
    separator: str = ""

    def topics(self) -> tuple[Topic, ...]:
        return (("kv-under", self.prefix),)

    def run(self, state: State) -> Found[tuple[str, ...]]:
        entries = state.kv.under(self.prefix)
        index = state.kv.index_under(self.prefix, entries)
        if not self.separator:
            return Found(index, tuple(entry.key for entry in entries))
        start, separator = len(as_name(self.prefix)), as_name(self.separator)
        cut: dict[bytes, None] = {}
        for entry in entries:
            name = as_name(entry.key)
            end = name.find(separator, start)
            cut[name if end < 0 else name[: end + len(separator)]] = None
        return Found(index, tuple(name.decode("utf-8", "surrogateescape") for name in cut))


@dataclass(frozen=True, slots=True)
class Nodes:
    """All nodes."""

    def topics(self) -> tuple[Topic, ...]:
        return (NODES,)

    def run(self, state: State) -> Found[tuple[Node, ...]]:
        catalog = state.catalog
        return Found(catalog.counters.nodes, tuple(host.node for host in catalog.all_hosts()))


@dataclass(frozen=True, slots=True)
class NodeServices:
    """A node and its services, or None."""

    node: str

    def topics(self) -> tuple[Topic, ...]:
        return (("node", fold(self.node)),)

    def run(self, state: State) -> Found[tuple[Node, tuple[Service, ...]] | None]:
        host, index = state.catalog.host(self.node), state.catalog.node_index(self.node)
        if host is None:
            return Found(index, None)
        return Found(index, (host.node, tuple(host.services[key] for key in sorted(host.services))))


@dataclass(frozen=True, slots=True)
class ServiceTags:
    """Names of services with the tags of all their instances, sorted, each once.

    With `node_meta`, only of instances on nodes that have all these pairs.
    """

    node_meta: tuple[tuple[str, str], ...] = ()

    def topics(self) -> tuple[Topic, ...]:
        return (SERVICES, NODES) if self.node_meta else (SERVICES,)

    def run(self, state: State) -> Found[dict[str, tuple[str, ...]]]:
        counters = state.catalog.counters
        index = max(counters.services, counters.nodes) if self.node_meta else counters.services
        tags: dict[str, set[str]] = {}
        for host in state.catalog.all_hosts():
            meta = host.node.meta or {}
            if all(meta.get(key) == value for key, value in self.node_meta):
                for service in host.services.values():
                    tags.setdefault(service.name, set()).update(service.tags or ())
        return Found(index, {name: tuple(sorted(tags[name])) for name in sorted(tags)})


@dataclass(frozen=True, slots=True)
class ServiceNodes:
    """The instances of a service, each with its node."""

    name: str

    def topics(self) -> tuple[Topic, ...]:
        return (("service", fold(self.name)),)

    def run(self, state: State) -> Found[tuple[tuple[Node, Service], ...]]:
        instances = state.catalog.instances(self.name)
        return Found(
            state.catalog.service_index(self.name), tuple((host.node, found) for host, found in instances)
        )


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """The instances of a service, each with its node and the checks that say how it is: the node's, then its own."""

    name: str

    def topics(self) -> tuple[Topic, ...]:
        return (("service", fold(self.name)),)

    def run(self, state: State) -> Found[tuple[Instance, ...]]:
        catalog = state.catalog
        instances = tuple(
            (host.node, service, (*host.checks_of(NODE_LEVEL), *host.checks_of(service.id)))
            for host, service in catalog.instances(self.name)
        )
        return Found(catalog.service_index(self.name), instances)


@dataclass(frozen=True, slots=True)
class NodeChecks:
    """All checks on a node, its services' included, each with the node."""

    node: str

    def topics(self) -> tuple[Topic, ...]:
        return (("node", fold(self.node)),)

    def run(self, state: State) -> Found[tuple[tuple[Node, Check], ...]]:
        host, index = state.catalog.host(self.node), state.catalog.node_index(self.node)
        if host is None:
            return Found(index, ())
        return Found(index, tuple((host.node, host.checks[key]) for key in sorted(host.checks)))


@dataclass(frozen=True, slots=True)
class ServiceChecks:
    """The checks of a service's instances, without those of their nodes, each with the node."""

    name: str

    def topics(self) -> tuple[Topic, ...]:
        return (("service", fold(self.name)),)

    def run(self, state: State) -> Found[tuple[tuple[Node, Check], ...]]:
        catalog = state.catalog
        checks = tuple(
            (host.node, check)
            for host, service in catalog.instances(self.name)
            for check in host.checks_of(service.id)
        )
        return Found(catalog.service_index(self.name), checks)


@dataclass(frozen=True, slots=True)
class StateChecks:
    """The checks with a status, or all for "any", each with its node."""

    state: str

    def topics(self) -> tuple[Topic, ...]:
        return (CHECKS, NODES)

    def run(self, state: State) -> Found[tuple[tuple[Node, Check], ...]]:
        counters = state.catalog.counters
        checks = tuple(
            (host.node, host.checks[key])
            for host in state.catalog.all_hosts()
            for key in sorted(host.checks)
            if self.state in ("any", host.checks[key].status)
        )
        return Found(max(counters.checks, counters.nodes), checks)


@dataclass(frozen=True, slots=True)
class CheckById:
    """One check of a node, or None."""

    node: str
    check_id: str

    def topics(self) -> tuple[Topic, ...]:
        return (("node", fold(self.node)),)

    def run(self, state: State) -> Found[Check | None]:
        host, index = state.catalog.host(self.node), state.catalog.node_index(self.node)
        return Found(index, None if host is None else host.checks.get(self.check_id))


@dataclass(frozen=True, slots=True)
class AllChecks:
    """Every check there is."""

    def topics(self) -> tuple[Topic, ...]:
        return (CHECKS,)

    def run(self, state: State) -> Found[tuple[Check, ...]]:
        hosts = state.catalog.all_hosts()
        checks = tuple(host.checks[key] for host in hosts for key in sorted(host.checks))
        return Found(state.catalog.counters.checks, checks)


@dataclass(frozen=True, slots=True)
class ServicesById:
    """The services of that id on any node: for requests that name an id and may have come to any node."""

    service_id: str

    def topics(self) -> tuple[Topic, ...]:
        return (SERVICES,)

    def run(self, state: State) -> Found[tuple[Service, ...]]:
        hosts = state.catalog.hosts_with_service(self.service_id)
        return Found(state.catalog.counters.services, tuple(host.services[self.service_id] for host in hosts))


@dataclass(frozen=True, slots=True)
class ChecksById:
    """The checks of that id on any node: for requests that name an id and may have come to any node."""

    check_id: str

    def topics(self) -> tuple[Topic, ...]:
        return (CHECKS,)

    def run(self, state: State) -> Found[tuple[Check, ...]]:
        hosts = state.catalog.hosts_with_check(self.check_id)
        return Found(state.catalog.counters.checks, tuple(host.checks[self.check_id] for host in hosts))


@dataclass(frozen=True, slots=True)
class SessionById:
    """One session, or None. Its index is its own; that of an absent one is the whole table's."""

    session_id: str

    def topics(self) -> tuple[Topic, ...]:
        return (("session", self.session_id),)

    def run(self, state: State) -> Found[Session | None]:
        session = state.sessions.get(self.session_id)
        return Found(state.sessions.changed if session is None else session.modify_index, session)


@dataclass(frozen=True, slots=True)
class Sessions:
    """All sessions."""

    def topics(self) -> tuple[Topic, ...]:
        return (SESSIONS,)

    def run(self, state: State) -> Found[tuple[Session, ...]]:
        return Found(state.sessions.changed, state.sessions.all())


@dataclass(frozen=True, slots=True)
class NodeSessions:
    """The sessions of a node."""

    node: str

    def topics(self) -> tuple[Topic, ...]:
        return (SESSIONS,)

    def run(self, state: State) -> Found[tuple[Session, ...]]:
        return Found(state.sessions.changed, state.sessions.on_node(self.node))


@dataclass(frozen=True, slots=True)
class LockDelays:
    """The keys that nobody may lock yet, each with nanoseconds and the number of the command since when."""

    def topics(self) -> tuple[Topic, ...]:
        return (LOCK_DELAYS,)

    def run(self, state: State) -> Found[tuple[tuple[str, int, int], ...]]:
        delays = sorted(state.sessions.delays.items())
        rows = tuple((as_text(name), delay.delay_ns, delay.index) for name, delay in delays)
        return Found(state.sessions.delays_changed, rows)


@dataclass(frozen=True, slots=True)
class LockDelayOf:
    """The lock delay of one key, None if it may be locked."""

    key: str

    def topics(self) -> tuple[Topic, ...]:
        return (("lock-delay", self.key),)

    def run(self, state: State) -> Found[LockDelay | None]:
        delay = state.sessions.delays.get(as_name(self.key))
        return Found(state.sessions.delays_changed if delay is None else delay.index, delay)
