"""What every plan for a name of the zone needs: the question, the domain it was asked in, and names under it."""

from dataclasses import dataclass

from raftreg.dns import wire
from raftreg.dns.plans import Extra, Group, Plan
from raftreg.dns.wire import encode_name

Tiers = tuple[tuple[Group, ...], ...]


@dataclass(frozen=True, slots=True)
class Within:
    """A question below a domain. `name` is the whole name in wire form and lower case, `level` how far to follow."""

    type: int
    name: bytes
    domain: str
    datacenter: str
    level: int

    @property
    def domain_name(self) -> bytes:
        """The domain in wire form."""
        return encode_name(self.domain) or wire.ROOT

    def absent(self) -> Plan:
        """There is no such name."""
        return Plan(wire.NXDOMAIN, soa="authority", domain=self.domain_name)

    def found(self, tiers: Tiers) -> Plan:
        """The records that were found; without any the name is there all the same."""
        if not any(tiers):
            return Plan(soa="authority", domain=self.domain_name)
        return Plan(tiers=tiers, by_chance=True, trims=True)

    def of_node(self, node_name: str) -> bytes | None:
        """The name of a node; None if it cannot be one."""
        return encode_name(f"{node_name}.node.{self.datacenter}.{self.domain}")

    def of_address(self, address: bytes) -> bytes | None:
        """The name that says an address."""
        return encode_name(f"{address.hex()}.addr.{self.datacenter}.{self.domain}")

    def is_asked(self, host: str) -> bool:
        """Whether `host` is the very name that was asked."""
        name = encode_name(host)
        return name is not None and name.lower() == self.name


@dataclass(frozen=True, slots=True)
class Followed:
    """What a name leads to: records with their owners, and the name of another domain in which they end, if any."""

    records: tuple[Extra, ...] = ()
    outside: bytes | None = None
