"""What an operator may say about DNS, as text and as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from raftreg.addresses import Address, parse_address
from raftreg.durations import parse_duration

OFF = "off"
EVERY_SERVICE = "*"
_TTL_MAX = 2**31 - 1
_PORT = 53
_LIMIT_MAX = 1000


@dataclass(frozen=True, slots=True)
class DnsOptions:
    """How DNS is served. TTLs in seconds; those of services by name or `begin*`, see `raftreg.dns`."""

    domain: str | None = None
    service_ttls: Mapping[str, int] = field(default_factory=dict)
    node_ttl: int = 0
    only_passing: bool = False
    recursors: tuple[Address, ...] = ()
    udp_answer_limit: int = 3


def parse_listen(text: str) -> Address | str:
    """host:port, or `off`. ValueError with a clear text."""
    return OFF if text.lower() == OFF else parse_address(text)


def parse_domain(text: str) -> str:
    """A domain in lower case, without the dot at its end. ValueError with a clear text."""
    domain = text.lower().removesuffix(".")
    labels = domain.split(".")
    plain = all(label.replace("-", "").replace("_", "").isalnum() and len(label) <= 63 for label in labels)
    if not plain or not domain.isascii() or len(domain) > 200:
        raise ValueError(f'bad domain "{text}": write it as svc.example')
    if labels[-1] == "arpa" or domain == "consul":
        raise ValueError(f'bad domain "{text}": it is answered already')
    return domain


def parse_ttl(text: str) -> int:
    """Whole seconds of a duration that is not below zero. ValueError with a clear text."""
    try:
        ttl = int(parse_duration(text))
    except ValueError:
        raise ValueError(f'bad TTL "{text}": write a duration, such as 10s or 1m') from None
    if not 0 <= ttl <= _TTL_MAX:
        raise ValueError(f'bad TTL "{text}": from 0s to {_TTL_MAX}s')
    return ttl


def parse_service_ttls(text: str) -> dict[str, int]:
    """`10s` for all services, or `web=10s,db*=1m,*=5s`. ValueError with a clear text."""
    ttls: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, ttl = part.partition("=")
        if not equals:
            name, ttl = EVERY_SERVICE, part
        name = name.strip().lower()
        if not name or EVERY_SERVICE in name[:-1]:
            raise ValueError(f'bad name of a service "{name}": a * may stand at its end only')
        ttls[name] = parse_ttl(ttl.strip())
    return ttls


def parse_servers(text: str) -> tuple[Address, ...]:
    """`10.0.0.53,[2001:db8::53]:5353`; port 53 if none is given. ValueError with a clear text."""
    servers = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        has_port = part.count(":") == 1 or "]:" in part
        host = part.removeprefix("[").removesuffix("]")
        bracketed = f"[{host}]" if ":" in host else host
        servers.append(parse_address(part if has_port else f"{bracketed}:{_PORT}"))
    if not servers:
        raise ValueError("no server is named: write host or host:port, separated by commas")
    return tuple(servers)


def parse_limit(text: str) -> int:
    """A whole number from 0 to 1000. ValueError with a clear text."""
    if not text.isascii() or not text.isdigit() or int(text) > _LIMIT_MAX:
        raise ValueError(f'"{text}" is no whole number from 0 to {_LIMIT_MAX}')
    return int(text)
