"""Questions about a service's proxies. They look at what is kept in `Service.extra` only, so any service may be one."""

from dataclasses import dataclass

from raftreg.instances import Instance
from raftreg.model import Node, Service
from raftreg.state.changes import CHECKS, NODES, SERVICES, Found, Topic
from raftreg.state.machine import State
from raftreg.state.queries import Nodes, ServiceHealth, ServiceNodes, ServiceTags, StateChecks


@dataclass(frozen=True, slots=True)
class ConnectNodes:
    """The proxies whose destination is `name`, and the instances of it that speak Connect themselves."""

    name: str

    def topics(self) -> tuple[Topic, ...]:
        """Any service may become a proxy of any other."""
        return (SERVICES, NODES)

    def run(self, state: State) -> Found[tuple[tuple[Node, Service], ...]]:
        """Instances by node and id."""
        names = ServiceTags(()).run(state)
        rows: list[tuple[Node, Service]] = []
        for name in names.value:
            rows.extend(row for row in ServiceNodes(name).run(state).value if self._is_meant(row[1]))
        return Found(max(names.index, Nodes().run(state).index), tuple(rows))

    def _is_meant(self, service: Service) -> bool:
        extra = service.extra or {}
        connect, proxy = extra.get("Connect"), extra.get("Proxy")
        if service.name.lower() == self.name.lower() and isinstance(connect, dict) and connect.get("Native"):
            return True
        if extra.get("Kind") != "connect-proxy" or not isinstance(proxy, dict):
            return False
        return str(proxy.get("DestinationServiceName", "")).lower() == self.name.lower()


@dataclass(frozen=True, slots=True)
class ConnectHealth:
    """As ConnectNodes, each instance with its node's checks and its own."""

    name: str

    def topics(self) -> tuple[Topic, ...]:
        """Any service may become a proxy, and any check decide about it."""
        return (*ConnectNodes(self.name).topics(), CHECKS)

    def run(self, state: State) -> Found[tuple[Instance, ...]]:
        """Instances by node and id."""
        found = ConnectNodes(self.name).run(state)
        meant = {(node.name, service.id) for node, service in found.value}
        rows: list[Instance] = []
        for name in sorted({service.name for _, service in found.value}):
            health = ServiceHealth(name).run(state).value
            rows.extend(row for row in health if (row[0].name, row[1].id) in meant)
        return Found(max(found.index, StateChecks("").run(state).index), tuple(rows))
