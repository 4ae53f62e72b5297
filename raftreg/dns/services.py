"""Plans for instances of services: their addresses, or SRV records with what these lead to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from raftreg.dns import wire
from raftreg.dns.addresses import Place, address_record, instance_place, node_place, packed, text_extras
from raftreg.dns.names import Followed, Within
from raftreg.dns.plans import Extra, Group, Plan
from raftreg.dns.wire import QUESTION_NAME, encode_name, record
from raftreg.instances import Instance, weight
from raftreg.model import Node, Service

Follow = Callable[[bytes, Within], Followed]

_PRIORITY = 1


def instances_plan(tiers: Sequence[Sequence[Instance]], within: Within, ttl: int, follow: Follow) -> Plan:
    """The plan for the instances that were found, those of the first tier before the others."""
    if not any(tiers):
        return within.absent()
    if within.type != wire.SRV:
        return _addresses(tiers, within, ttl, follow)
    seen: set[tuple[str, str, int]] = set()
    groups = tuple(
        tuple(_present(_srv(one, within, ttl, follow) for one in _new(tier, seen))) for tier in tiers
    )
    return within.found(groups)


def _new(tier: Sequence[Instance], seen: set[tuple[str, str, int]]) -> Iterable[Instance]:
    """The instances at places not seen before: two of one address and port are one to whoever connects."""
    for instance in tier:
        node, service, _ = instance
        place = node.name, service.address, service.port
        if place not in seen:
            seen.add(place)
            yield instance


def alias_plan(host: str, within: Within, ttl: int, follow: Follow) -> Plan | None:
    """A CNAME record and what its target leads to, as one group; None if the host has no proper name."""
    target = encode_name(host)
    if target is None:
        return None
    followed = follow(target, within)
    records = [record(QUESTION_NAME, wire.CNAME, ttl, target)]
    records += [(extra.owner or b"") + extra.rest for extra in followed.records]
    group = Group(b"".join(records), len(records))
    return replace(within.found(((group,),)), outside=followed.outside)


def _present(groups: Iterable[Group | None]) -> Iterable[Group]:
    return (group for group in groups if group is not None)


def _place(node: Node, service: Service, within: Within) -> Place | None:
    """Where an instance is; at its node if its own address is the name that was asked."""
    place = instance_place(node, service, within.type)
    if place is not None and place.host and within.is_asked(place.host):
        return node_place(node, within.type)
    return place


def _addresses(tiers: Sequence[Sequence[Instance]], within: Within, ttl: int, follow: Follow) -> Plan:
    """The addresses of instances, each once; only where there is none, the first name of a host."""
    seen: set[bytes] = set()
    hosts: list[str] = []
    groups = []
    for tier in tiers:
        found = []
        for node, service, _ in tier:
            place = _place(node, service, within)
            if place is None:
                continue
            if place.host:
                hosts.append(place.host)
            elif place.serves(within.type) and place.address not in seen:
                seen.add(place.address)
                found.append(Group(record(QUESTION_NAME, place.record_type, ttl, place.address)))
        groups.append(tuple(found))
    if seen or not hosts:
        return within.found(tuple(groups))
    return alias_plan(hosts[0], within, ttl, follow) or within.found(())


def _srv(instance: Instance, within: Within, ttl: int, follow: Follow) -> Group | None:
    """The SRV record of an instance, with the records of its target and its node's metadata."""
    node, service, checks = instance
    place = _place(node, service, within)
    if place is None:
        return None
    node_name = within.of_node(node.name)
    target: bytes | None
    extras: tuple[Extra, ...]
    address, extras = b"", ()
    if place.host:
        target = encode_name(place.host)
        farther = replace(within, level=within.level + 1)  # the SRV record itself does not count
        extras = () if target is None else follow(target, farther).records
    else:
        at_its_node = node_name is not None and place.address == packed(node.address)
        target = node_name if at_its_node else within.of_address(place.address)
        address = address_record(place, ttl)
    if target is None:
        return None
    if node_name is not None:
        extras += text_extras(node, None if target == node_name else node_name, ttl)
    numbers = (_PRIORITY, weight(service, checks), service.port & 0xFFFF)
    data = b"".join(number.to_bytes(2) for number in numbers) + target
    return Group(record(QUESTION_NAME, wire.SRV, ttl, data), 1, extras, target, address)
