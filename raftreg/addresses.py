"""Addresses as text: `host:port`, with IPv6 in brackets, and lists of named peers."""

import ipaddress
import re
from typing import NamedTuple

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_NAME_LENGTH_MAX = 63


class Address(NamedTuple):
    """Where to listen or connect; the host is a name or an IP address without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_everywhere(self) -> bool:
        """Whether it is all addresses of a machine, and so none by which others could reach it."""
        return self.host in ("0.0.0.0", "::", "*")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it, as far as the text alone tells."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """`10.0.0.1:8300`, `n1.example:8300` or `[::1]:8300`; port 0 means any free one. ValueError with a clear text."""
    host, colon, port_text = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host or text.strip().endswith("]"):
        raise ValueError(f'bad address "{text}": write IPv6 as [::1]:8300')
    if not colon or not host or not host.isprintable() or " " in host:
        raise ValueError(f'bad address "{text}": write host:port, such as 127.0.0.1:8300')
    if not port_text.isascii() or not port_text.isdigit() or int(port_text) > 65535:
        raise ValueError(f'bad address "{text}": the port must be a number from 1 to 65535')
    try:
        host.encode("idna")  # What the resolver does first, with errors that nobody expects of it.
    except UnicodeError:
        raise ValueError(f'bad address "{text}": {host} cannot be the name of a host') from None
    return Address(host, int(port_text))


def parse_seeds(text: str) -> tuple[Address, ...]:
    """`10.0.0.1:8300,10.0.0.2:8300`, where nodes can be reached. ValueError with a clear text."""
    seeds = tuple(parse_address(part) for part in filter(None, (part.strip() for part in text.split(","))))
    if not seeds:
        raise ValueError("no address is named: write host:port, host:port,...")
    for seed in seeds:
        if seed.port == 0 or "=" in seed.host:
            raise ValueError(
                f'bad address "{seed}": write host:port, without a name and with a port from 1 to 65535'
            )
    return seeds


def parse_name(text: str) -> str:
    """The name of a node. ValueError unless it could be a DNS label, because DNS will carry it."""
    if len(text) > _NAME_LENGTH_MAX:
        raise ValueError(f'bad name "{text}": at most {_NAME_LENGTH_MAX} characters')
    if not _NAME.fullmatch(text):
        raise ValueError(f'bad name "{text}": use letters, digits and inner hyphens, such as n1')
    return text


def parse_peers(text: str) -> dict[str, Address]:
    """`n1=10.0.0.1:8300,n2=10.0.0.2:8300` as name -> address, in the order given. ValueError with a clear text."""
    peers: dict[str, Address] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, address_text = part.partition("=")
        if not equals:
            raise ValueError(f'bad peer "{part}": write name=host:port, such as n1=127.0.0.1:8300')
        name = parse_name(name.strip())
        address = parse_address(address_text)
        if address.port == 0:
            raise ValueError(f'bad peer "{part}": the port must be a number from 1 to 65535')
        for other_name, other_address in peers.items():
            if other_name.lower() == name.lower():
                raise ValueError(f'the name "{name}" is there twice: every node needs a name of its own')
            if other_address == address:
                raise ValueError(f"{other_name} and {name} have the same address {address}")
        peers[name] = address
    if not peers:
        raise ValueError("no peer is named: write name=host:port,name=host:port,...")
    return peers
