"""From addresses to names: built when somebody asks, kept until a node or a service changes."""

from collections.abc import Callable

from raftreg.dns.addresses import packed
from raftreg.dns.settings import DOMAIN
from raftreg.dns.wire import encode_name
from raftreg.model import Node, Service
from raftreg.state import Topic
from raftreg.state.places import EveryHost

Hosts = tuple[tuple[Node, tuple[Service, ...]], ...]


class ReverseNames:
    """The name at each address: of the first node there, else of the first service with that address of its own."""

    def __init__(self, every_host: Callable[[], Hosts], datacenter: str) -> None:
        self.topics: frozenset[Topic] = frozenset(EveryHost().topics())
        self._every_host = every_host
        self._datacenter = datacenter
        self._names: dict[bytes, str] | None = None

    @property
    def is_built(self) -> bool:
        """Whether there is anything to forget."""
        return self._names is not None

    def forget(self) -> None:
        """A node or a service changed."""
        self._names = None

    def find(self, address: bytes) -> bytes | None:
        """The name in wire form, or None."""
        if self._names is None:
            self._names = self._build()
        name = self._names.get(address)
        return None if name is None else encode_name(name)

    def _build(self) -> dict[bytes, str]:
        names: dict[bytes, str] = {}
        hosts = self._every_host()
        for node, _ in hosts:
            address = packed(node.address)
            if address is not None:
                names.setdefault(address, f"{node.name}.node.{self._datacenter}.{DOMAIN}")
        for _, services in hosts:
            for service in services:
                address = packed(service.address) if service.address else None
                if address is not None:
                    names.setdefault(address, f"{service.name}.service.{self._datacenter}.{DOMAIN}")
        return names
