"""The tables of nodes, services and checks, with their indexes. What may be written is decided in `registration`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from raftreg.model import Check, Node, Service
from raftreg.state.changes import CHECKS, NODES, SERVICES, Changes, fold
from raftreg.state.tombstones import Tombstones, as_name

NODE_LEVEL = ""  # the service id of checks that belong to no service
Places = set[str]  # folded names of nodes: sorted where they are looked up, so that thousands may share an id


@dataclass(slots=True)
class Host:
    """A node with all that is registered on it. `check_ids` holds the ids of checks by service id."""

    node: Node
    services: dict[str, Service] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    check_ids: dict[str, set[str]] = field(default_factory=dict)

    def checks_of(self, service_id: str) -> list[Check]:
        """The checks of one service of this node, or those of the node itself, by id."""
        return [self.checks[check_id] for check_id in sorted(self.check_ids.get(service_id, ()))]


@dataclass(slots=True)
class Counters:
    """The number of the last change of each table."""

    nodes: int = 1
    services: int = 1
    checks: int = 1


class Catalog:
    """Nodes, services and checks.

    Names of nodes and services are folded wherever they are looked up. Every `put` and `drop` keeps the indexes and
    tells `changes` which answers are different now. `put` wants a record whose modify_index is `changes.index`.
    """

    def __init__(self, nodes_gone: Tombstones, services_gone: Tombstones, counters: Counters) -> None:
        self.hosts: dict[str, Host] = {}  # by folded node name
        self.counters = counters
        self.nodes_gone = nodes_gone
        self.services_gone = services_gone
        self.node_indexes: dict[str, int] = {}  # last change of anything on the node, by folded name
        self.service_indexes: dict[str, int] = {}  # last change of anything about the service, by folded name
        self.name_of_id: dict[str, str] = {}  # folded node name by node id
        self._instances: dict[str, set[tuple[str, str]]] = {}  # (folded node name, service id) by folded name
        self._service_places: dict[str, Places] = {}  # which nodes have a service of that id
        self._check_places: dict[str, Places] = {}

    # What is there.

    def host(self, node_name: str) -> Host | None:
        """The node of that name, or None."""
        return self.hosts.get(fold(node_name))

    def all_hosts(self) -> Iterator[Host]:
        """All nodes, ordered by name."""
        return (self.hosts[name] for name in sorted(self.hosts))

    def instances(self, service_name: str) -> Iterator[tuple[Host, Service]]:
        """The instances of a service, ordered by node and id."""
        for node_name, service_id in sorted(self._instances.get(fold(service_name), ())):
            host = self.hosts[node_name]
            yield host, host.services[service_id]

    def hosts_with_service(self, service_id: str) -> list[Host]:
        """The nodes that have a service of that id, ordered by name."""
        return [self.hosts[name] for name in sorted(self._service_places.get(service_id, ()))]

    def hosts_with_check(self, check_id: str) -> list[Host]:
        """The nodes that have a check of that id, ordered by name."""
        return [self.hosts[name] for name in sorted(self._check_places.get(check_id, ()))]

    def node_index(self, node_name: str) -> int:
        """The number of the last change of anything on the node; if it is gone, at least when it went."""
        name = fold(node_name)
        return self.node_indexes.get(name) or max(1, self.nodes_gone.index(as_name(name)))

    def service_index(self, service_name: str) -> int:
        """The number of the last change of instances of the service, their checks and their nodes."""
        name = fold(service_name)
        return self.service_indexes.get(name) or max(1, self.services_gone.index(as_name(name)))

    # Changes. Each does one thing and all that follows from it.

    def put_node(self, changes: Changes, node: Node) -> Host:
        """Add a node, or replace its record."""
        name = fold(node.name)
        host = self.hosts.get(name)
        if host is None:
            host = self.hosts[name] = Host(node)
            self.nodes_gone.forget(as_name(name))
        else:
            self._forget_id(host.node)
            host.node = node
        if node.id:
            self.name_of_id[node.id] = name
        self.counters.nodes = changes.index
        changes.touch(NODES)
        self._touch_node(changes, name)
        self._touch_services_of(changes, host)
        return host

    def drop_node(self, changes: Changes, host: Host) -> None:
        """Remove a node with all that is on it.

        In the order of ids: that of the dicts depends on whether the replica began with a snapshot.
        """
        for service_id in sorted(host.services):
            self.drop_service(changes, host, host.services[service_id])
        for check_id in sorted(host.checks):
            self.drop_check(changes, host, host.checks[check_id])
        name = fold(host.node.name)
        del self.hosts[name]
        self._forget_id(host.node)
        self.counters.nodes = changes.index
        changes.touch(NODES)
        self._touch_node(changes, name)
        del self.node_indexes[name]
        self.nodes_gone.bury(as_name(name), changes.index)
        changes.lost.append((name, None))
        changes.gone.append(name)

    def put_service(self, changes: Changes, host: Host, service: Service) -> None:
        """Add a service, or replace its record. Its checks follow its name and tags."""
        name = fold(service.name)
        old = host.services.get(service.id)
        if old is None:
            self._service_places.setdefault(service.id, set()).add(fold(service.node))
        elif fold(old.name) != name:
            self._drop_instance(changes, old)
        host.services[service.id] = service
        self._instances.setdefault(name, set()).add((fold(service.node), service.id))
        self.services_gone.forget(as_name(name))
        self._touch_service_table(changes, service)
        for check in host.checks_of(service.id):
            if (check.service_name, check.service_tags) != (service.name, service.tags):
                bound = replace(check, service_name=service.name, service_tags=service.tags)
                self.put_check(changes, host, replace(bound, modify_index=changes.index))

    def drop_service(self, changes: Changes, host: Host, service: Service) -> None:
        """Remove a service and its checks."""
        for check in host.checks_of(service.id):
            self.drop_check(changes, host, check)
        del host.services[service.id]
        _take(self._service_places, service.id, fold(service.node))
        self._touch_service_table(changes, service)
        self._drop_instance(changes, service)

    def put_check(self, changes: Changes, host: Host, check: Check) -> None:
        """Add a check, or replace its record. Its service, if it names one, is there."""
        old = host.checks.get(check.id)
        if old is None:
            self._check_places.setdefault(check.id, set()).add(fold(check.node))
        elif old.service_id != check.service_id:
            self._touch_check(changes, host, old)
            _discard(host.check_ids, old)
        host.checks[check.id] = check
        host.check_ids.setdefault(check.service_id, set()).add(check.id)
        self._touch_check(changes, host, check)
        if check.status == "critical":
            changes.lost.append((fold(check.node), check.id))

    def drop_check(self, changes: Changes, host: Host, check: Check) -> None:
        """Remove a check."""
        del host.checks[check.id]
        _discard(host.check_ids, check)
        _take(self._check_places, check.id, fold(check.node))
        self._touch_check(changes, host, check)
        changes.lost.append((fold(check.node), check.id))

    # What follows.

    def _drop_instance(self, changes: Changes, service: Service) -> None:
        """The service name loses this instance, and goes with its last."""
        name = fold(service.name)
        self._touch_service(changes, name)
        instances = self._instances[name]
        instances.remove((fold(service.node), service.id))
        if not instances:
            del self._instances[name]
            del self.service_indexes[name]
            self.services_gone.bury(as_name(name), changes.index)

    def _touch_service_table(self, changes: Changes, service: Service) -> None:
        self.counters.services = changes.index
        changes.touch(SERVICES)
        self._touch_node(changes, fold(service.node))
        self._touch_service(changes, fold(service.name))

    def _touch_check(self, changes: Changes, host: Host, check: Check) -> None:
        self.counters.checks = changes.index
        changes.touch(CHECKS)
        self._touch_node(changes, fold(check.node))
        service = host.services.get(check.service_id)
        if service is not None:
            self._touch_service(changes, fold(service.name))
        elif check.service_id == NODE_LEVEL:
            self._touch_services_of(changes, host)

    def _touch_services_of(self, changes: Changes, host: Host) -> None:
        for name in sorted({fold(service.name) for service in host.services.values()}):
            self._touch_service(changes, name)

    def _touch_service(self, changes: Changes, name: str) -> None:
        self.service_indexes[name] = changes.index
        changes.touch(("service", name))

    def _touch_node(self, changes: Changes, name: str) -> None:
        self.node_indexes[name] = changes.index
        changes.touch(("node", name))

    def _forget_id(self, node: Node) -> None:
        if self.name_of_id.get(node.id) == fold(node.name):
            del self.name_of_id[node.id]

    def restore(self, nodes: Iterable[Node], services: Iterable[Service], checks: Iterable[Check]) -> None:
        """Fill the empty tables with the records of a snapshot, without touching indexes that were restored.

        Raises ValueError for records that name what is not there.
        """
        for node in nodes:
            self.hosts[fold(node.name)] = Host(node)
            if node.id:
                self.name_of_id[node.id] = fold(node.name)
        for service in services:
            self._restore_service(service)
        for check in checks:
            self._restore_check(check)

    def _restore_service(self, service: Service) -> None:
        place = fold(service.node)
        if place not in self.hosts:
            raise ValueError("a service names a node that is not there")
        self.hosts[place].services[service.id] = service
        self._instances.setdefault(fold(service.name), set()).add((place, service.id))
        self._service_places.setdefault(service.id, set()).add(place)

    def _restore_check(self, check: Check) -> None:
        place = fold(check.node)
        host = self.hosts.get(place)
        if host is None or (check.service_id != NODE_LEVEL and check.service_id not in host.services):
            raise ValueError("a check names a node or service that is not there")
        host.checks[check.id] = check
        host.check_ids.setdefault(check.service_id, set()).add(check.id)
        self._check_places.setdefault(check.id, set()).add(place)

    def check_indexes(self) -> None:
        """Raise ValueError unless exactly the nodes and services that are there have an index."""
        if (
            self.node_indexes.keys() != self.hosts.keys()
            or self.service_indexes.keys() != self._instances.keys()
        ):
            raise ValueError("the indexes are not those of the nodes and services")


def _take(places_of: dict[str, Places], key: str, place: str) -> None:
    """Take one node out of the places of an id."""
    places = places_of[key]
    places.discard(place)
    if not places:
        del places_of[key]


def _discard(check_ids: dict[str, set[str]], check: Check) -> None:
    ids = check_ids[check.service_id]
    ids.remove(check.id)
    if not ids:
        del check_ids[check.service_id]
