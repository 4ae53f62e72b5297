"""Every setting there is, in one table, from which flags, environment variables and TOML keys follow.

A setting `data-dir` is the flag `--data-dir`, the variable `RAFTREG_DATA_DIR` and the TOML key `data-dir`. All values
are parsed from text, so that the three sources cannot differ in what they accept.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from raftreg.addresses import parse_address, parse_name, parse_peers, parse_seeds
from raftreg.dns_options import (
    parse_domain,
    parse_limit,
    parse_listen,
    parse_servers,
    parse_service_ttls,
    parse_ttl,
)
from raftreg.durations import parse_duration

CLUSTER_KEY_SIZE = 32
LOG_LEVELS = ("debug", "info", "warning", "error")
TIMINGS = ("lan", "wan")
REJOINS = ("manual", "auto")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` is text as a user would write it; None if there is none."""

    name: str
    help: str
    parse: Callable[[str], object]
    default: str | None = None
    metavar: str = "TEXT"
    is_switch: bool = False  # a flag without a value
    has_flag: bool = True  # False for what must not show up in a process list
    in_dev: bool = False  # whether `raftreg dev` knows it too

    @property
    def flag(self) -> str:
        """The flag, such as --data-dir."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable, such as RAFTREG_DATA_DIR."""
        return "RAFTREG_" + self.name.upper().replace("-", "_")


def parse_timeout(text: str) -> float:
    """Seconds of a duration above zero. ValueError with a clear text."""
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise ValueError(
            f'bad duration "{text}": write a number with a unit, such as 500ms, 10s or 1m30s'
        ) from None
    if seconds <= 0:
        raise ValueError(f'bad duration "{text}": it must be above zero')
    return seconds


def parse_switch(text: str) -> bool:
    """true or false (also 1 or 0). ValueError with a clear text."""
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise ValueError(f'"{text}" is neither true nor false')
    return values[text.lower()]


def parse_count(text: str) -> int:
    """A whole number of at least 1. ValueError with a clear text."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f'"{text}" is no whole number above zero')
    return int(text)


def parse_datacenter(text: str) -> str:
    """The name of a datacenter, in lower case. ValueError with a clear text."""
    if not text.replace("-", "").replace("_", "").isalnum() or not text.isascii():
        raise ValueError(f'bad datacenter "{text}": use letters, digits, hyphens and underscores')
    return text.lower()


def parse_cluster_key(text: str) -> bytes:
    """The 32 bytes that base64 text stands for. ValueError with a clear text, which does not show the key."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != CLUSTER_KEY_SIZE:
        raise ValueError(f"not base64 of {CLUSTER_KEY_SIZE} bytes: make a key with raftreg keygen")
    return key


def parse_host(text: str) -> str:
    """A host name or IP address, not empty and without a port. ValueError with a clear text."""
    if not text or any(character in text for character in " /[]=,") or text.count(":") == 1:
        raise ValueError(f'bad host "{text}": write a host name or an IP address, without a port')
    return text


def one_of(*choices: str) -> Callable[[str], str]:
    """A parser that takes only these words."""

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f'"{text}" is none of {", ".join(choices)}')
        return text.lower()

    return parse


SETTINGS: tuple[Setting, ...] = (
    Setting("node", "Name of this node; its identity for good.", parse_name, metavar="NAME", in_dev=True),
    Setting("data-dir", "Where log, snapshots and identity are kept.", Path, metavar="DIR"),
    Setting(
        "http",
        "Where the HTTP API listens.",
        parse_address,
        default="127.0.0.1:8500",
        metavar="HOST:PORT",
        in_dev=True,
    ),
    Setting(
        "raft",
        "Where this node listens for the others; beyond loopback only with a cluster key.",
        parse_address,
        default="127.0.0.1:8300",
        metavar="HOST:PORT",
    ),
    Setting(
        "dns",
        "Where DNS listens, over UDP and TCP; off for nowhere.",
        parse_listen,
        default="127.0.0.1:8600",
        metavar="HOST:PORT",
        in_dev=True,
    ),
    Setting(
        "dns-domain",
        "A domain that is answered like consul., beside it.",
        parse_domain,
        metavar="DOMAIN",
        in_dev=True,
    ),
    Setting(
        "dns-service-ttl",
        "TTL of answers about services, also by name: web=10s,db*=1m,*=5s.",
        parse_service_ttls,
        default="0s",
        metavar="DURATION",
        in_dev=True,
    ),
    Setting(
        "dns-node-ttl",
        "TTL of answers about nodes.",
        parse_ttl,
        default="0s",
        metavar="DURATION",
        in_dev=True,
    ),
    Setting(
        "dns-only-passing",
        "Leave out instances with a warning too, not only critical ones.",
        parse_switch,
        default="false",
        metavar="true|false",
        is_switch=True,
        in_dev=True,
    ),
    Setting(
        "dns-recursors",
        "Name servers for all other domains, asked in this order.",
        parse_servers,
        metavar="HOST[:PORT],...",
        in_dev=True,
    ),
    Setting(
        "dns-udp-answer-limit",
        "Most answers in a datagram for clients without EDNS; 0 for as many as fit.",
        parse_limit,
        default="3",
        metavar="COUNT",
        in_dev=True,
    ),
    Setting(
        "peers",
        "All nodes that make a cluster, this one included, by name and the address by which this node reaches them.",
        parse_peers,
        metavar="NAME=HOST:PORT,...",
    ),
    Setting(
        "join",
        "Raft addresses of nodes of the cluster that this one is to join; instead of peers.",
        parse_seeds,
        metavar="HOST:PORT,...",
    ),
    Setting(
        "rejoin",
        "A node that comes back with an empty data directory: wait for an operator, or replace what it was after 30 s.",
        one_of(*REJOINS),
        default="manual",
        metavar="manual|auto",
    ),
    Setting(
        "advertise",
        "Address of this node in the catalog and for other nodes; by default that of its entry in peers, else of raft.",
        parse_host,
        metavar="HOST",
        in_dev=True,
    ),
    Setting(
        "cluster-key-file",
        "File with the key that nodes prove to each other (raftreg keygen makes one).",
        Path,
        metavar="FILE",
    ),
    Setting(
        "cluster-key",
        "The key itself, base64 of 32 bytes; from the environment only.",
        parse_cluster_key,
        metavar="BASE64",
        has_flag=False,
    ),
    Setting("dc", "Name of the datacenter.", parse_datacenter, default="dc1", metavar="NAME", in_dev=True),
    Setting(
        "timing",
        "Election timeouts: lan is 150 to 300 ms, wan (nodes in several zones) 300 to 600 ms.",
        one_of(*TIMINGS),
        default="lan",
        metavar="lan|wan",
    ),
    Setting(
        "write-timeout",
        "How long a write is tried, across failovers, before it answers an error.",
        parse_timeout,
        default="10s",
        metavar="DURATION",
        in_dev=True,
    ),
    Setting(
        "read-timeout",
        "How long a read waits for a leader before it answers an error.",
        parse_timeout,
        default="10s",
        metavar="DURATION",
        in_dev=True,
    ),
    Setting(
        "snapshot-entries",
        "A snapshot is written after about this many writes, more beside a large state; members take turns.",
        parse_count,
        default="20000",
        metavar="COUNT",
    ),
    Setting(
        "enable-script-checks",
        "Run script checks, which the HTTP API may then register: whoever reaches it runs programs here.",
        parse_switch,
        default="false",
        metavar="true|false",
        is_switch=True,
        in_dev=True,
    ),
    Setting(
        "enable-local-script-checks",
        "Run script checks, but let only requests from this machine register them.",
        parse_switch,
        default="false",
        metavar="true|false",
        is_switch=True,
        in_dev=True,
    ),
    Setting(
        "check-ca-file",
        "PEM file with certificates that HTTPS and gRPC checks trust besides the system's.",
        Path,
        metavar="FILE",
        in_dev=True,
    ),
    Setting(
        "log-level",
        "How much is logged: debug, info, warning or error.",
        one_of(*LOG_LEVELS),
        default="info",
        metavar="LEVEL",
        in_dev=True,
    ),
    Setting(
        "log-json",
        "Log one JSON object per line instead of text.",
        parse_switch,
        default="false",
        metavar="true|false",
        is_switch=True,
        in_dev=True,
    ),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}
