"""From a question to the plan of its answer, by the state alone. Names of the zone that it leads to are followed.

A resolver is for one question: it collects the topics of the state that the plan leans on, so that the plan can be
kept until one of them changes.
"""

from dataclasses import replace
from typing import Protocol, TypeVar

from raftreg import templates
from raftreg.dns import wire
from raftreg.dns.addresses import address_record, node_place, text_extras
from raftreg.dns.names import Followed, Within
from raftreg.dns.plans import Extra, Group, Plan
from raftreg.dns.reverse import ReverseNames
from raftreg.dns.services import alias_plan, instances_plan
from raftreg.dns.settings import DOMAIN, ZoneSettings
from raftreg.dns.wire import QUESTION_NAME, Question, encode_name, labels_of, record, split_records
from raftreg.dns.zone import (
    AddressAsked,
    NodeAsked,
    QueryAsked,
    ServiceAsked,
    parse_name,
    reverse_address,
)
from raftreg.durations import parse_duration
from raftreg.errors import Refused
from raftreg.instances import NEAR_AGENT, Instance, has_tags, is_critical, is_passing, select
from raftreg.model import SERVER_SERVICE
from raftreg.state import Found, Query, Topic
from raftreg.state.connect import ConnectHealth
from raftreg.state.prepared_queries import PreparedQueryFor
from raftreg.state.queries import NodeServices, ServiceHealth

T = TypeVar("T")

LEVELS_MAX = 3  # records of names, one leading to the next
SERVERS_MAX = 3
_FAILED = Plan(wire.SERVFAIL)
_BARE = Plan()


class Lookup(Protocol):
    """Answers queries from the local copy of the state."""

    def __call__(self, query: Query[T], /) -> Found[T]:
        """The answer as it is now."""
        ...


class Resolver:
    """Makes the plan of one answer. `topics` is what the plan leans on."""

    def __init__(self, lookup: Lookup, settings: ZoneSettings, reverse: ReverseNames) -> None:
        self._lookup = lookup
        self._settings = settings
        self._reverse_names = reverse
        self.topics: set[Topic] = set()

    def plan(self, question: Question) -> Plan:
        """The plan for a question of class IN about any name."""
        labels = labels_of(question.name)
        if labels[-1:] == [b"arpa"]:
            return self._reverse(question, labels)
        domain = self._domain(labels)
        if domain is None:
            return Plan(wire.REFUSED, flags=0, forward=True)
        if question.type in (wire.AXFR, wire.IXFR):
            return Plan(wire.NOTIMP)
        within = self._within(question.type, question.name, domain, LEVELS_MAX)
        if question.type in (wire.SOA, wire.NS):
            return self._servers(within)
        return self._zone(labels, within)

    def _ask(self, query: Query[T]) -> T:
        self.topics.update(query.topics())
        return self._lookup(query).value

    def _domain(self, labels: list[bytes]) -> str | None:
        """The domain of the zone that a name ends in, None if it is another one."""
        for domain in (DOMAIN, self._settings.alternative_domain):
            if domain is not None:
                wanted = domain.encode("ascii").split(b".")
                if labels[-len(wanted) :] == wanted:
                    return domain
        return None

    def _within(self, kind: int, name: bytes, domain: str, level: int) -> Within:
        return Within(kind, name, domain, self._settings.datacenter, level)

    def _zone(self, labels: list[bytes], within: Within) -> Plan:
        """The plan for a name of the zone."""
        before = labels[: -1 - within.domain.count(".")]
        asked = parse_name(before, within.type, self._settings.datacenter.lower())
        match asked:
            case ServiceAsked():
                return self._service(asked, within)
            case NodeAsked():
                return self._node(asked, within)
            case QueryAsked():
                return self._prepared(asked, within)
            case AddressAsked():
                return self._address(asked.address, within)
            case None:
                return within.absent()

    def _service(self, asked: ServiceAsked, within: Within) -> Plan:
        if not asked.name:
            return _FAILED
        tags = (asked.tag,) if asked.tag else ()
        health = self._ask(ConnectHealth(asked.name) if asked.connect else ServiceHealth(asked.name))
        found = [one for one in health if self._is_usable(one) and has_tags(one[1], tags)]
        return instances_plan([found], within, self._settings.service_ttl(asked.name), self._follow)

    def _is_usable(self, instance: Instance) -> bool:
        checks = instance[2]
        return is_passing(checks) if self._settings.only_passing else not is_critical(checks)

    def _address(self, address: bytes | None, within: Within) -> Plan:
        """The address that a name says: under the name in lower case, and whatever type was asked for, as in Consul."""
        if address is None:
            return _BARE
        kind = wire.A if len(address) == 4 else wire.AAAA
        return Plan(tiers=((Group(record(within.name, kind, self._settings.node_ttl, address)),),))

    def _prepared(self, asked: QueryAsked, within: Within) -> Plan:
        query = self._ask(PreparedQueryFor(asked.name))
        if query is None:
            return within.absent()
        if query.template.type and query.id == asked.name:
            return _FAILED
        try:
            query = templates.render(query, asked.name)
        except Refused:
            return _FAILED
        service = query.service
        name = service.service
        found = select(service, self._ask(ConnectHealth(name) if service.connect else ServiceHealth(name)))
        near = (self._settings.node_name if service.near == NEAR_AGENT else service.near).lower()
        nearest = [one for one in found if one[0].name.lower() == near]
        others = [one for one in found if one[0].name.lower() != near]
        ttl = int(parse_duration(query.dns_ttl)) if query.dns_ttl else self._settings.service_ttl(name)
        return instances_plan([nearest, others], within, min(ttl, wire.TTL_MAX), self._follow)

    def _follow(self, name: bytes, within: Within) -> Followed:
        """The records that a name leads to, but none of TXT."""
        followed = self._follow_all(name, within)
        kept = tuple(extra for extra in followed.records if extra.rest[:2] != wire.TXT.to_bytes(2))
        return Followed(kept, followed.outside)

    def _follow_all(self, name: bytes, within: Within) -> Followed:
        """The records that a name leads to: those of the zone as for a question of type ANY."""
        folded = name.lower()
        labels = labels_of(folded)
        domain = self._domain(labels)
        if domain is None:
            return Followed(outside=name)
        if within.level <= 1:
            return Followed()
        plan = self._zone(labels, self._within(wire.ANY, folded, domain, within.level - 1))
        records: list[Extra] = []
        for tier in plan.tiers:
            for group in tier:
                parts = split_records(group.answers)
                records += [Extra(name if owner == QUESTION_NAME else owner, rest) for owner, rest in parts]
        return Followed(tuple(records), plan.outside)

    def _node(self, asked: NodeAsked, within: Within) -> Plan:
        if within.type not in (wire.A, wire.AAAA, wire.ANY, wire.TXT):
            return _BARE
        found = self._ask(NodeServices(asked.name))
        if found is None:
            return within.absent()
        node, ttl = found[0], self._settings.node_ttl
        plan = _BARE
        place = None if within.type == wire.TXT else node_place(node, within.type)
        if place is not None and place.host:
            plan = alias_plan(place.host, within, ttl, self._follow_all) or _BARE
        elif place is not None:
            plan = Plan(tiers=((Group(record(QUESTION_NAME, place.record_type, ttl, place.address)),),))
        texts = text_extras(node, QUESTION_NAME, ttl)
        if within.type in (wire.ANY, wire.TXT):
            more = tuple(Group(QUESTION_NAME + extra.rest) for extra in texts)
        else:
            more = (Group(b"", 0, texts),) if texts else ()
        return replace(plan, tiers=(*plan.tiers, more), by_chance=False, trims=False)

    def _servers(self, within: Within) -> Plan:
        """The nodes of the cluster as name servers, with their addresses."""
        ttl = self._settings.node_ttl
        groups = []
        for instance in self._ask(ServiceHealth(SERVER_SERVICE)):
            node = instance[0]
            name, place = within.of_node(node.name.lower()), node_place(node, wire.NS)
            if name is None or place is None or not self._is_usable(instance):
                continue
            glue = () if place.host else (Extra(name, address_record(place, ttl)),)
            groups.append(Group(record(within.domain_name, wire.NS, ttl, name), 1, glue))
        if within.type == wire.SOA:
            return Plan(authority=tuple(groups), soa="answer", domain=within.domain_name)
        return Plan(tiers=(tuple(groups),), by_chance=True, groups_max=SERVERS_MAX)

    def _reverse(self, question: Question, labels: list[bytes]) -> Plan:
        """The node or the service at an address, whatever type was asked for. SERVFAIL where nobody knows one."""
        address = reverse_address(labels)
        self.topics.update(self._reverse_names.topics)
        name = None if address is None else self._reverse_names.find(address)
        if name is None:
            return Plan(wire.SERVFAIL, flags=wire.RA, forward=True)
        soa = "authority" if question.type == wire.SOA else ""
        domain = encode_name(DOMAIN) or wire.ROOT
        return Plan(tiers=((Group(record(QUESTION_NAME, wire.PTR, 0, name)),),), soa=soa, domain=domain)
