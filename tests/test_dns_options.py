"""The settings of DNS, as an operator writes them."""

import pytest

from raftreg.addresses import Address
from raftreg.config import load
from raftreg.dns_options import (
    OFF,
    DnsOptions,
    parse_domain,
    parse_limit,
    parse_listen,
    parse_servers,
    parse_service_ttls,
    parse_ttl,
)
from raftreg.errors import ConfigError


def test_what_is_not_said_is_the_documented_default() -> None:
    """Nothing is cached, three answers without EDNS, and the usual port, which a node can go on without."""
    config = load({}, {}, in_dev=True)
    assert (Address("127.0.0.1", 8600), False) == (config.dns, config.dns_is_given)
    assert DnsOptions(service_ttls={"*": 0}) == config.dns_options


def test_everything_that_can_be_said() -> None:
    """By flags, and by variables as for all settings."""
    flags = {
        "dns": "[::1]:53",
        "dns-domain": "SVC.Example.",
        "dns-service-ttl": "web=10s, db*=1m, 5s",
        "dns-node-ttl": "30s",
        "dns-recursors": "10.0.0.53,[2001:db8::53]:5353,::1",
    }
    environ = {"RAFTREG_DNS_ONLY_PASSING": "true", "RAFTREG_DNS_UDP_ANSWER_LIMIT": "0"}
    config = load(flags, environ, in_dev=True)
    assert (Address("::1", 53), True) == (config.dns, config.dns_is_given)
    expected = DnsOptions(
        domain="svc.example",
        service_ttls={"web": 10, "db*": 60, "*": 5},
        node_ttl=30,
        only_passing=True,
        recursors=(Address("10.0.0.53", 53), Address("2001:db8::53", 5353), Address("::1", 53)),
        udp_answer_limit=0,
    )
    assert expected == config.dns_options
    assert load({"dns": "off"}, {}, in_dev=True).dns is None
    assert OFF == parse_listen("OFF")


@pytest.mark.parametrize(
    "text", ["", ".", "consul", "CONSUL.", "a..b", "in-addr.arpa", "a b", "ä.example", "a" * 64]
)
def test_bad_domains_are_refused(text: str) -> None:
    """What could not be asked for, or is answered already."""
    with pytest.raises(ValueError, match=r"^bad domain"):
        parse_domain(text)


@pytest.mark.parametrize("text", ["10", "-1s", "x", "1000000h", "web=", "=5s", "a*b=5s"])
def test_bad_ttls_are_refused(text: str) -> None:
    """A TTL is a duration of whole seconds that fits into a record."""
    with pytest.raises(ValueError, match=r"^bad"):
        parse_service_ttls(text)


def test_a_ttl_is_whole_seconds() -> None:
    """What is less does not count."""
    assert (0, 1, 90) == (parse_ttl("999ms"), parse_ttl("1.9s"), parse_ttl("1m30s"))


@pytest.mark.parametrize("text", ["", ",", "a:b", "[::1]:x", "1.1.1.1:70000"])
def test_bad_servers_are_refused(text: str) -> None:
    """A server is a host with or without a port."""
    with pytest.raises(ValueError, match=r"bad address|no server"):
        parse_servers(text)


@pytest.mark.parametrize("text", ["", "-1", "x", "1001", "1.5"])
def test_bad_limits_are_refused(text: str) -> None:
    """A limit is a number."""
    with pytest.raises(ValueError, match="no whole number"):
        parse_limit(text)


def test_a_mistake_names_its_flag() -> None:
    """In one line."""
    with pytest.raises(ConfigError, match=r"^--dns: bad address"):
        load({"dns": "nowhere"}, {}, in_dev=True)
