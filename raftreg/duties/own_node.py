"""The duty of every node for its own record in the catalog: the node, the service of the cluster on it, serfHealth."""

import ipaddress
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from raftreg import __version__
from raftreg.commands import Deregister, Register
from raftreg.duties.liveness import ALIVE
from raftreg.errors import Refused
from raftreg.model import HTTP_META, SERF_HEALTH, SERVER_SERVICE, Check, Node, Service
from raftreg.registry import EVERYTHING, Registry
from raftreg.state import Topic
from raftreg.state.queries import CheckById, ServiceNodes

log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0


class OwnNodeDuty:
    """Registers the node this runs on, and again whenever somebody changed or removed that."""

    name = "own node"

    def __init__(
        self,
        registry: Registry,
        wake: Callable[[], None] = lambda: None,
        *,
        node_id: str,
        address: str,
        raft_port: int,
        http_address: str = "",
    ) -> None:
        """`http_address`: host:port of the HTTP API, told to operators' tools; "" if it shall not be told."""
        self._registry = registry
        self._wake = wake
        name = registry.node_name
        self._node = Node(
            name=name,
            id=node_id,
            address=address,
            tagged_addresses=_tagged(address),
            meta={"consul-network-segment": ""},
        )
        self._service = Service(
            node=name,
            id=SERVER_SERVICE,
            name=SERVER_SERVICE,
            port=raft_port,
            meta={"raft_version": "3", "version": __version__}
            | ({HTTP_META: http_address} if http_address else {}),
        )
        self._check = Check(
            node=name, id=SERF_HEALTH, name="Serf Health Status", status="passing", output=ALIVE
        )

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """A restore may have taken the record away. Otherwise a look every second, three lookups, is enough."""
        if EVERYTHING in topics:
            self._wake()

    async def step(self) -> float:
        """Write the record if it is not there as it should be."""
        if self._is_registered():
            return _LOOK_S
        command = Register(
            node_name=self._node.name,
            node=self._node,
            service=self._service,
            checks=(self._check,),
            keep_status=(SERF_HEALTH,),
        )
        try:
            await self._registry.write(command)
        except Refused as error:
            # This node is the member of that name, so the record is that of an earlier incarnation.
            log.info("taking over the name %s: %s", self._node.name, error)
            await self._registry.write(Deregister(self._node.name, check_id=SERF_HEALTH))
            await self._registry.write(command)
        log.info("registered node %s (%s) at %s", self._node.name, self._node.id, self._node.address)
        return _LOOK_S

    def _is_registered(self) -> bool:
        if self._registry.local(CheckById(self._node.name, SERF_HEALTH)).value is None:
            return False
        for node, service in self._registry.local(ServiceNodes(SERVER_SERVICE)).value:
            if node.name.lower() == self._node.name.lower() and service.id == SERVER_SERVICE:
                same_node = replace(
                    self._node, name=node.name, create_index=node.create_index, modify_index=node.modify_index
                )
                same_service = replace(
                    self._service,
                    node=node.name,
                    create_index=service.create_index,
                    modify_index=service.modify_index,
                )
                return node == same_node and service == same_service
        return False


def _tagged(address: str) -> dict[str, str]:
    """The address under the names by which clients look for it."""
    tagged = {"lan": address, "wan": address}
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return tagged
    return tagged | {f"lan_ipv{version}": address, f"wan_ipv{version}": address}
