"""Which address of a node or an instance an answer gives, and the records that say so."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from raftreg.dns import wire
from raftreg.dns.plans import Extra
from raftreg.model import Node, Service

_LAN = {4: "lan_ipv4", 6: "lan_ipv6"}
_RECORD = {4: wire.A, 6: wire.AAAA}
_FAMILIES = {wire.A: (4,), wire.AAAA: (6,)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: an address (packed), or the name of a host."""

    address: bytes = b""
    host: str = ""

    @property
    def record_type(self) -> int:
        """A or AAAA."""
        return _RECORD[4 if len(self.address) == 4 else 6]

    def serves(self, question_type: int) -> bool:
        """Whether a question of this type is answered with the address; TXT questions are, as in Consul."""
        return question_type in (self.record_type, wire.ANY, wire.SRV, wire.NS, wire.TXT)


@lru_cache(65_536)
def packed(text: str) -> bytes | None:
    """4 or 16 bytes for an IP address, an IPv4 one in IPv6's clothes included; None for anything else."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.packed
    return address.packed


def node_place(node: Node, question_type: int) -> Place | None:
    """Where a node is, for a question of that type; None if it has no such address."""
    return _place(node.address, node.tagged_addresses or {}, question_type)


def instance_place(node: Node, service: Service, question_type: int) -> Place | None:
    """Where an instance is: at its own address, else at its node's."""
    tagged = {name: str(given.get("Address", "")) for name, given in (service.tagged_addresses or {}).items()}
    if service.address or tagged.get(_LAN[4]) or tagged.get(_LAN[6]):
        return _place(service.address, tagged, question_type)
    return node_place(node, question_type)


def _place(address: str, tagged: Mapping[str, str], question_type: int) -> Place | None:
    """The tagged address of a family that was asked for, IPv6 first, else the address itself if it is of one."""
    families = _FAMILIES.get(question_type, (6, 4))
    for family in families:
        named = tagged.get(_LAN[family])
        if named:
            return _of_text(named)
    place = _of_text(address)
    if place is None or place.host or len(families) > 1:
        return place
    return place if _RECORD[families[0]] == place.record_type else None


def _of_text(text: str) -> Place | None:
    address = packed(text)
    if address is not None:
        return Place(address)
    return Place(host=text) if text else None


def address_record(place: Place, ttl: int) -> bytes:
    """The address as a record without its owner."""
    return wire.record(b"", place.record_type, ttl, place.address)


def text_extras(node: Node, owner: bytes | None, ttl: int) -> tuple[Extra, ...]:
    """The metadata of a node as TXT records: key=value, or the value alone where the key says rfc1035-."""
    return tuple(
        Extra(owner, wire.record(b"", wire.TXT, ttl, wire.text_data(_shown(key, value))))
        for key, value in sorted((node.meta or {}).items())
    )


def _shown(key: str, value: str) -> str:
    return value if key.lower().startswith("rfc1035-") else f"{key}={value}"
