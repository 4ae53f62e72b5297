"""Where everything is: nodes with all their services, for those who look for an address."""

from dataclasses import dataclass

from raftreg.model import Node, Service
from raftreg.state.changes import NODES, SERVICES, Found, Topic
from raftreg.state.machine import State


@dataclass(frozen=True, slots=True)
class EveryHost:
    """Each node with its services, by id."""

    def topics(self) -> tuple[Topic, ...]:
        return (NODES, SERVICES)

    def run(self, state: State) -> Found[tuple[tuple[Node, tuple[Service, ...]], ...]]:
        hosts = tuple(
            (host.node, tuple(host.services[key] for key in sorted(host.services)))
            for host in state.catalog.all_hosts()
        )
        counters = state.catalog.counters
        return Found(max(counters.nodes, counters.services), hosts)
