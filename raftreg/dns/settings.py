"""What the configuration says about the zone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DOMAIN = "consul"
EVERY_SERVICE = "*"
UDP_ANSWER_LIMIT = 3


@dataclass(frozen=True, slots=True)
class ZoneSettings:
    """How the zone is answered. TTLs in seconds.

    `service_ttls` are by name of the service in lower case, or by the begin of names if they end in `*`: the longest
    that fits counts. `udp_answer_limit` is for clients without EDNS; 0 for none.
    """

    datacenter: str = "dc1"
    node_name: str = ""
    alternative_domain: str | None = None
    service_ttls: Mapping[str, int] = field(default_factory=dict)
    node_ttl: int = 0
    only_passing: bool = False
    udp_answer_limit: int = UDP_ANSWER_LIMIT
    recurses: bool = False

    def service_ttl(self, name: str) -> int:
        """The TTL of the answers about a service."""
        ttls, name = self.service_ttls, name.lower()
        if not ttls:
            return 0
        if name in ttls:
            return ttls[name]
        for end in range(len(name), -1, -1):
            ttl = ttls.get(name[:end] + EVERY_SERVICE)
            if ttl is not None:
                return ttl
        return 0
