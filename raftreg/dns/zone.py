"""What the names of the zone mean.

    [TAG.]NAME.service[.DC]    _NAME._TAG.service[.DC]    NAME.connect[.DC]
    NODE.node[.DC]             NAME.query[.DC]            HEX.addr[.ANYTHING]

A name without any of these words, or with more behind it than a datacenter, does not exist. In SRV questions `service`
may be left out after a label with an underscore. Everything here is in lower case.
"""

from dataclasses import dataclass

from raftreg.dns.wire import SRV

_WORDS = frozenset({b"service", b"connect", b"node", b"query", b"addr"})
_ANY_TAG = b"tcp"  # RFC 2782 wants a protocol where no tag is meant


@dataclass(frozen=True, slots=True)
class ServiceAsked:
    """Instances of a service: all (`tag` ""), those with a tag, or its proxies."""

    name: str
    tag: str = ""
    connect: bool = False


@dataclass(frozen=True, slots=True)
class NodeAsked:
    """A node; "" for one of another datacenter, of which there is none."""

    name: str


@dataclass(frozen=True, slots=True)
class QueryAsked:
    """What a prepared query finds."""

    name: str


@dataclass(frozen=True, slots=True)
class AddressAsked:
    """An address that is in the name itself; None for digits that are none."""

    address: bytes | None


Asked = ServiceAsked | NodeAsked | QueryAsked | AddressAsked


def parse_name(labels: list[bytes], question_type: int, datacenter: str) -> Asked | None:
    """What the labels before the domain ask for; None if such a name cannot exist."""
    for place in range(len(labels) - 1, -1, -1):
        if labels[place] in _WORDS:
            return _asked(labels[place], labels[:place], labels[place + 1 :], datacenter)
        if question_type == SRV and labels[place].startswith(b"_"):
            return _asked(b"service", labels[: place + 1], labels[place + 1 :], datacenter)
    return None


def _asked(word: bytes, before: list[bytes], behind: list[bytes], datacenter: str) -> Asked | None:
    if not before:
        return None
    if word == b"addr":
        return _address(before)
    elsewhere = bool(behind) and _text(behind[0]) != datacenter
    if word == b"node" and len(behind) < 2:
        return NodeAsked("" if elsewhere else _text(b".".join(before)))
    if len(behind) > 1 or elsewhere:
        return None
    if word == b"query":
        return QueryAsked(_text(b".".join(before)))
    if word == b"connect":
        return ServiceAsked(_text(before[-1]), connect=True)
    if len(before) == 2 and before[0].startswith(b"_") and before[1].startswith(b"_"):
        tag = before[1][1:]
        return ServiceAsked(_text(before[0][1:]), "" if tag == _ANY_TAG else _text(tag))
    return ServiceAsked(_text(before[-1]), _text(b".".join(before[:-1])))


def _address(before: list[bytes]) -> AddressAsked | None:
    """8 or 32 hexadecimal digits. Other lengths exist, without an address, as they do in Consul."""
    if len(before) != 1:
        return None
    digits = before[0]
    if len(digits) // 2 not in (4, 16):
        return AddressAsked(None)
    try:
        address = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return None
    return AddressAsked(address) if len(address) * 2 == len(digits) else None


def reverse_address(labels: list[bytes]) -> bytes | None:
    """The address that a name below in-addr.arpa or ip6.arpa stands for, packed; None for any other name."""
    if len(labels) == 6 and labels[-2:] == [b"in-addr", b"arpa"]:
        numbers = [_decimal(label) for label in labels[3::-1]]
        return None if None in numbers else bytes(number for number in numbers if number is not None)
    if len(labels) == 34 and labels[-2:] == [b"ip6", b"arpa"]:
        digits = b"".join(labels[31::-1])
        try:
            return bytes.fromhex(digits.decode("ascii")) if len(digits) == 32 else None
        except ValueError:
            return None
    return None


def _decimal(label: bytes) -> int | None:
    """A number from 0 to 255 as an address has it: without leading zeros."""
    if not label.isdigit() or len(label) > 3 or (label[:1] == b"0" and len(label) > 1):
        return None
    number = int(label)
    return number if number <= 255 else None


def _text(label: bytes) -> str:
    return label.decode("utf-8", "surrogateescape")
