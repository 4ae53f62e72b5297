"""What the names of the zone are answered with."""

import pytest

from raftreg.dns import ZoneSettings
from raftreg.model import ServiceQuery
from tests.dns.zones import Zone

SOA = "consul. 0 SOA ns.consul. hostmaster.consul. 1000 3600 600 86400 0"


@pytest.fixture
def zone() -> Zone:
    """Two nodes, one with metadata, and a service on both."""
    zone = Zone()
    zone.node("n1", "10.0.0.1", meta={"rfc1035-k": "v", "k2": "v2"})
    zone.node("N2", "10.0.0.2")
    zone.service("web", "n1", tags=("Blue",), port=81, weights=(7, 2))
    zone.service("web", "N2", tags=("green", "v1.2"), port=82)
    return zone


def test_a_service_is_its_healthy_instances(zone: Zone) -> None:
    """A gives addresses without anything else, SRV also targets with their addresses; case is that of the question."""
    answer = zone.ask("WEB.Service.consul")
    assert ("NOERROR", "qr aa rd") == (answer.rcode, answer.flags)
    assert [
        "WEB.Service.consul. 0 A 10.0.0.1",
        "WEB.Service.consul. 0 A 10.0.0.2",
    ] == sorted(answer.answer)
    assert ([], []) == (answer.authority, answer.additional)
    srv = zone.ask("web.service.dc1.consul", "SRV")
    assert [
        "web.service.dc1.consul. 0 SRV 1 1 82 N2.node.dc1.consul.",
        "web.service.dc1.consul. 0 SRV 1 7 81 n1.node.dc1.consul.",
    ] == sorted(srv.answer)
    assert [
        "N2.node.dc1.consul. 0 A 10.0.0.2",
        "n1.node.dc1.consul. 0 A 10.0.0.1",
        "n1.node.dc1.consul. 0 TXT k2=v2",
        "n1.node.dc1.consul. 0 TXT v",
    ] == sorted(srv.additional)


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("blue.web.service.consul", "A", ["0 A 10.0.0.1"]),
        ("V1.2.web.service.consul", "A", ["0 A 10.0.0.2"]),
        ("_web._tcp.service.consul", "A", ["0 A 10.0.0.1", "0 A 10.0.0.2"]),
        ("_web._blue.service.dc1.consul", "SRV", ["0 SRV 1 7 81 n1.node.dc1.consul."]),
        ("_web._blue.consul", "SRV", ["0 SRV 1 7 81 n1.node.dc1.consul."]),
        ("n1.node.consul", "A", ["0 A 10.0.0.1"]),
        ("n2.node.DC1.consul", "ANY", ["0 A 10.0.0.2"]),
        ("n1.node.consul", "TXT", ["0 TXT k2=v2", "0 TXT v"]),
        ("0A000001.addr.dc1.consul", "A", ["0 A 10.0.0.1"]),
        ("20010db8000000000000000000000005.addr.consul", "AAAA", ["0 AAAA 2001:db8::5"]),
        ("1.0.0.10.in-addr.arpa", "PTR", ["0 PTR n1.node.dc1.consul."]),
    ],
)
def test_every_kind_of_name_is_answered(zone: Zone, name: str, kind: str, found: list[str]) -> None:
    """Tags with dots, RFC 2782 with and without the word service, nodes, addresses and their reverse."""
    assert found == zone.answers(name, kind)


@pytest.mark.parametrize(
    "name",
    [
        "none.service.consul",
        "red.web.service.consul",
        "web.service.dc2.consul",
        "web.service.dc1.more.consul",
        "none.node.consul",
        "n1.node.dc2.consul",
        "none.query.consul",
        "service.consul",
        "web.consul",
        "consul",
        "zz000001.addr.consul",
        "x.0a000001.addr.consul",
        "_web._tcp.consul",
    ],
)
def test_what_is_not_there_is_nxdomain(zone: Zone, name: str) -> None:
    """With the SOA record of the zone in authority."""
    answer = zone.ask(name)
    assert ("NXDOMAIN", "qr aa rd", [], [SOA]) == (
        answer.rcode,
        answer.flags,
        answer.answer,
        answer.authority,
    )


def test_a_name_without_records_of_a_type_is_there(zone: Zone) -> None:
    """A service says so with the SOA record, a node bare; what is no question for nodes is bare for any node."""
    assert ("NOERROR", [], [SOA]) == _sections(zone, "web.service.consul", "AAAA")
    assert ("NOERROR", [], []) == _sections(zone, "N2.node.consul", "AAAA")
    assert ("NOERROR", [], []) == _sections(zone, "none.node.consul", "SRV")
    assert ("NOERROR", [], []) == _sections(zone, "abcd.addr.consul", "A")
    texts = zone.ask("n1.node.consul", "AAAA")
    assert [] == texts.answer
    assert ["n1.node.consul. 0 TXT k2=v2", "n1.node.consul. 0 TXT v"] == texts.additional


def _sections(zone: Zone, name: str, kind: str) -> tuple[str, list[str], list[str]]:
    answer = zone.ask(name, kind)
    return answer.rcode, answer.answer, answer.authority


def test_critical_instances_are_left_out_and_warning_ones_weigh_less(zone: Zone) -> None:
    """A change of a check is seen at once, though plans are kept; a service without a healthy instance is gone."""
    zone.service("web", "n1", status="warning", weights=(7, 2))
    assert ["0 SRV 1 1 80 N2.node.dc1.consul."] != zone.answers("web.service.consul", "SRV")
    assert "0 SRV 1 2 80 n1.node.dc1.consul." in zone.answers("web.service.consul", "SRV")
    zone.service("web", "n1", status="critical")
    assert ["0 A 10.0.0.2"] == zone.answers("web.service.consul")
    zone.drop("N2")
    assert "NXDOMAIN" == zone.ask("web.service.consul").rcode
    assert ["0 A 10.0.0.1"] == zone.answers("n1.node.consul")


def test_only_passing_leaves_warnings_out() -> None:
    """As the setting says."""
    zone = Zone(ZoneSettings(only_passing=True))
    zone.node("n1", "10.0.0.1")
    zone.service("web", status="warning")
    assert "NXDOMAIN" == zone.ask("web.service.consul").rcode


def test_an_address_of_its_own_and_tagged_ones_count_before_the_nodes(zone: Zone) -> None:
    """By family where there are several; the SRV target says the address where it is not the node's."""
    zone.service("own", address="10.9.8.7")
    assert ["0 A 10.9.8.7"] == zone.answers("own.service.consul")
    assert ["0 SRV 1 1 80 0a090807.addr.dc1.consul."] == zone.answers("own.service.consul", "SRV")
    extra = zone.ask("own.service.consul", "SRV").additional
    assert "0a090807.addr.dc1.consul. 0 A 10.9.8.7" in extra
    assert "n1.node.dc1.consul. 0 TXT k2=v2" in extra
    zone.service("six", address="2001:db8::5")
    assert ["0 AAAA 2001:db8::5"] == zone.answers("six.service.consul", "AAAA")
    assert [] == zone.answers("six.service.consul", "A")
    zone.service("both", address="10.9.9.9", tagged={"lan_ipv4": "10.9.9.10", "lan_ipv6": "2001:db8::9"})
    assert ["0 A 10.9.9.10"] == zone.answers("both.service.consul")
    assert ["0 AAAA 2001:db8::9"] == zone.answers("both.service.consul", "AAAA")
    zone.node("dual", "10.3.3.3", tagged={"lan_ipv6": "2001:db8::20"})
    assert ["0 AAAA 2001:db8::20"] == zone.answers("dual.node.consul", "AAAA")
    assert ["0 A 10.3.3.3"] == zone.answers("dual.node.consul")


def test_equal_addresses_are_told_once() -> None:
    """Two instances on one node are one A record, and two SRV records."""
    zone = Zone()
    zone.node("n1", "10.0.0.1")
    zone.service("web", service_id="w1", port=1)
    zone.service("web", service_id="w2", port=2)
    assert ["0 A 10.0.0.1"] == zone.answers("web.service.consul")
    assert 2 == len(zone.answers("web.service.consul", "SRV"))


def test_names_of_hosts_are_followed_within_the_zone(zone: Zone) -> None:
    """CNAME only where there is no address, with what the name stands for; a circle ends; itself is the node."""
    zone.service("outside", address="web.example.org")
    assert ["0 CNAME web.example.org."] == zone.answers("outside.service.consul")
    assert ["0 SRV 1 1 80 web.example.org."] == zone.answers("outside.service.consul", "SRV")
    zone.service("inside", address="n2.node.consul")
    followed = zone.ask("inside.service.consul").answer
    expected = ["inside.service.consul. 0 CNAME n2.node.consul.", "n2.node.consul. 0 A 10.0.0.2"]
    assert expected == followed
    assert "n2.node.consul. 0 A 10.0.0.2" in zone.ask("inside.service.consul", "SRV").additional
    zone.service("here", address="there.service.consul")
    zone.service("there", address="here.service.consul")
    assert 3 == len(zone.ask("here.service.consul").answer)
    zone.service("self", address="self.service.consul")
    assert ["0 A 10.0.0.1"] == zone.answers("self.service.consul")
    zone.service("outside", "N2", service_id="o2")
    assert ["0 A 10.0.0.2"] == zone.answers("outside.service.consul")
    zone.node("alias", "n1.node.consul")
    assert 4 == len(zone.ask("alias.node.consul").answer)
    zone.node("long", "x" * 64 + ".example")
    assert ("NOERROR", [], []) == _sections(zone, "long.node.consul", "A")


def test_prepared_queries_have_names_too(zone: Zone) -> None:
    """With their own TTL, the nearest first, and gone when nothing is healthy."""
    zone.prepare("Find.it", ServiceQuery("web", tags=("!green",)), ttl="7s")
    assert ["7 A 10.0.0.1"] == zone.answers("find.it.query.consul")
    srv = zone.ask("find.it.query.dc1.consul", "SRV")
    assert ["find.it.query.dc1.consul. 7 SRV 1 7 81 n1.node.dc1.consul."] == srv.answer
    zone.prepare("near", ServiceQuery("web", near="_agent"))
    for _ in range(10):
        assert "near.query.consul. 0 A 10.0.0.1" == zone.ask("near.query.consul").answer[0]
    assert "NXDOMAIN" == zone.ask("near.query.dc2.consul").rcode
    zone.prepare("empty", ServiceQuery("none"))
    assert "NXDOMAIN" == zone.ask("empty.query.consul").rcode


def test_proxies_are_found_under_the_service_that_they_serve(zone: Zone) -> None:
    """NAME.connect asks for them."""
    extra: dict[str, object] = {"Kind": "connect-proxy", "Proxy": {"DestinationServiceName": "web"}}
    zone.service("web-proxy", "N2", extra=extra, port=21)
    assert ["0 SRV 1 1 21 N2.node.dc1.consul."] == zone.answers("web.connect.consul", "SRV")
    assert "NXDOMAIN" == zone.ask("none.connect.consul").rcode


def test_the_zone_names_its_servers(zone: Zone) -> None:
    """SOA and NS for any name of the zone, with glue; at most three servers."""
    for number in range(5):
        zone.node(f"S{number}", f"10.1.0.{number}")
        zone.service("consul", f"S{number}")
    servers = zone.ask("consul", "NS")
    assert (3, 3) == (len(servers.answer), len(servers.additional))
    assert all(row.startswith("consul. 0 NS s") for row in servers.answer)
    soa = zone.ask("anything.consul", "SOA")
    assert ([SOA], 3) == (soa.answer, len(soa.authority))
    assert "NOTIMP" == zone.ask("consul", "AXFR").rcode


def test_reverse_names(zone: Zone) -> None:
    """Nodes before services, IPv6 too, whatever type is asked; SERVFAIL where nobody knows; changes are seen."""
    zone.service("own", address="10.9.8.7")
    zone.node("six", "2001:db8::1")
    reverse = "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa"
    assert ["0 PTR own.service.dc1.consul."] == zone.answers("7.8.9.10.in-addr.arpa", "PTR")
    assert ["0 PTR six.node.dc1.consul."] == zone.answers(reverse, "PTR")
    for name in ("9.9.9.9.in-addr.arpa", "300.1.1.1.in-addr.arpa", "arpa", "x.arpa", "ip6.arpa"):
        answer = zone.ask(name, "PTR")
        assert ("SERVFAIL", "qr rd ra") == (answer.rcode, answer.flags)
    zone.node("nine", "9.9.9.9")
    assert ["0 PTR nine.node.dc1.consul."] == zone.answers("9.9.9.9.in-addr.arpa", "PTR")
    assert [SOA] == zone.ask("9.9.9.9.in-addr.arpa", "SOA").authority


def test_other_domains_are_refused(zone: Zone) -> None:
    """Without recursors; also names that only end like the zone."""
    for name in ("example.com", ".", "webconsul", "consul.com"):
        answer = zone.ask(name)
        assert ("REFUSED", "qr rd", []) == (answer.rcode, answer.flags, answer.authority)


def test_an_alternative_domain_answers_in_its_own_name() -> None:
    """So that whoever asks there can go on there; the usual zone stays."""
    zone = Zone(ZoneSettings(alternative_domain="svc.example"))
    zone.node("n1", "10.0.0.1")
    zone.service("web")
    srv = zone.ask("web.service.SVC.example", "SRV")
    assert ["web.service.SVC.example. 0 SRV 1 1 80 n1.node.dc1.svc.example."] == srv.answer
    assert ["n1.node.dc1.svc.example. 0 A 10.0.0.1"] == srv.additional
    assert zone.ask("none.service.svc.example").authority[0].startswith("svc.example. 0 SOA ns.svc.example.")
    assert ["0 A 10.0.0.1"] == zone.answers("web.service.consul")
    assert "REFUSED" == zone.ask("web.service.example").rcode


def test_ttls_are_those_of_the_settings() -> None:
    """By name of the service, by the begin of names, for all, and for nodes."""
    zone = Zone(ZoneSettings(service_ttls={"web": 5, "d*": 6, "*": 7}, node_ttl=8))
    zone.node("n1", "10.0.0.1")
    for name in ("web", "db", "other"):
        zone.service(name)
    found = [zone.answers(f"{name}.service.consul") for name in ("WEB", "db", "other")]
    assert [["5 A 10.0.0.1"], ["6 A 10.0.0.1"], ["7 A 10.0.0.1"]] == found
    assert ["8 A 10.0.0.1"] == zone.answers("n1.node.consul")
    assert ["n1.node.dc1.consul. 5 A 10.0.0.1"] == zone.ask("web.service.consul", "SRV").additional


def test_a_node_that_has_nothing_yet_says_servfail() -> None:
    """It does not know that a name is not there, so resolvers are to ask another node."""
    assert "SERVFAIL" == Zone().ask("web.service.consul").rcode
    assert "REFUSED" == Zone().ask("example.com").rcode


def test_plans_are_kept_until_what_they_lean_on_changes(zone: Zone) -> None:
    """The state is not asked again for the same question, in whatever case, nor after a change of something else."""
    zone.ask("web.service.consul")
    asked = zone.asked
    zone.ask("WEB.service.consul")
    zone.service("other")
    zone.ask("web.service.consul", "A", edns=4096)
    assert asked == zone.asked
    zone.node("n1", "10.0.0.9")
    assert "0 A 10.0.0.9" in zone.answers("web.service.consul")
