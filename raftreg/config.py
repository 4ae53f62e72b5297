"""The configuration of a node: a TOML file, then the environment, then flags, each overriding the one before.

`load` merges the three and checks the whole once; after that a frozen `Config` is handed down and nothing reads the
environment again. Unknown keys of the file are errors. Unknown RAFTREG_ variables are at most warned about, because
orchestrators put variables of their own there.
"""

import difflib
import os
import stat
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypedDict, TypeVar

from raftreg.addresses import Address
from raftreg.dns_options import DnsOptions
from raftreg.errors import ConfigError
from raftreg.settings import BY_NAME, SETTINGS, Setting, parse_cluster_key

T = TypeVar("T")
# Variables of the command line client, and the one that names the file.
OTHER_VARIABLES = ("RAFTREG_CONFIG", "RAFTREG_HTTP_ADDR", "RAFTREG_HTTP_TOKEN")
# Least and greatest election timeout, and the heartbeat, in seconds.
ELECTION_TIMINGS = {"lan": (0.15, 0.30, 0.06), "wan": (0.30, 0.60, 0.12)}


@dataclass(frozen=True, slots=True)
class Config:
    """What a node was told. Durations in seconds; `warnings` are for the log, once it is there."""

    node: str
    data_dir: Path | None  # None in memory only
    http: Address
    raft: Address
    dns: Address | None  # None: not served
    dns_is_given: bool  # whether the node may not run without it
    dns_options: DnsOptions
    peers: Mapping[str, Address]  # by name, this node included; empty where none are given
    join: tuple[Address, ...]
    rejoin: str
    advertise: str
    raft_advertise: Address  # where the other nodes reach this one
    cluster_key: bytes | None
    dc: str
    timing: str
    write_timeout_s: float
    read_timeout_s: float
    snapshot_entries: int
    enable_script_checks: bool
    enable_local_script_checks: bool
    check_ca_file: Path | None
    log_level: str
    log_json: bool
    warnings: tuple[str, ...] = ()


class _Dns(TypedDict):
    """The part of a configuration that says how DNS is served."""

    dns: Address | None
    dns_is_given: bool
    dns_options: DnsOptions


class _Given(NamedTuple):
    """A value as text and where it came from, for messages."""

    text: str
    source: str


def load(
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    file: Path | None = None,
    *,
    in_dev: bool = False,
) -> Config:
    """The configuration of an agent, or of `raftreg dev` with `in_dev`. ConfigError with one line about what is wrong.

    `flags` maps names of settings to text; None means not given. `file` overrides RAFTREG_CONFIG.
    """
    warnings = list(_misspelt_variables(environ))
    if file is None and environ.get("RAFTREG_CONFIG"):
        file = Path(environ["RAFTREG_CONFIG"])
    given = {} if file is None else _from_file(file)
    for setting in SETTINGS:
        if setting.variable in environ:
            given[setting.name] = _Given(environ[setting.variable], setting.variable)
    for name, text in flags.items():
        if text is not None:
            given[name] = _Given(text, BY_NAME[name].flag)
    values = _Values(given)
    return _dev_config(values, warnings) if in_dev else _agent_config(values, warnings)


class _Values:
    """Parsed values by the name of the setting."""

    def __init__(self, given: Mapping[str, _Given]) -> None:
        self._given = given
        self._parsed = {setting.name: self._parse(setting) for setting in SETTINGS}

    def _parse(self, setting: Setting) -> object:
        given = self._given.get(setting.name)
        if given is None:
            return None if setting.default is None else setting.parse(setting.default)
        if not given.text:
            raise ConfigError(f"{given.source}: the value is empty")
        try:
            return setting.parse(given.text)
        except ValueError as error:
            raise ConfigError(f"{given.source}: {error}") from None

    def optional(self, name: str, kind: type[T]) -> T | None:
        """The value, or None if it was not given."""
        value = self._parsed[name]
        assert value is None or isinstance(value, kind)
        return value

    def get(self, name: str, kind: type[T]) -> T:
        """The value. ConfigError if it was not given and has no default."""
        value = self.optional(name, kind)
        if value is None:
            setting = BY_NAME[name]
            raise ConfigError(
                f"{name} is missing: give {setting.flag} {setting.metavar} (or {setting.variable}, "
                f"or {name} in the configuration file)"
            )
        return value

    def is_given(self, name: str) -> bool:
        """Whether the operator said it."""
        return name in self._given

    def source(self, name: str) -> str:
        """Where the value came from, for a message."""
        given = self._given.get(name)
        return BY_NAME[name].flag if given is None else given.source


def _agent_config(values: _Values, warnings: list[str]) -> Config:
    node = values.get("node", str)
    data_dir = values.get("data-dir", Path)
    peers = _peers(values, node)
    warnings.extend(_doubtful_peers(peers))
    raft = values.get("raft", Address)
    cluster_key = _cluster_key(values, warnings)
    if cluster_key is None and not raft.is_loopback:
        raise ConfigError(
            f"{values.source('raft')}: {raft} can be reached from other machines, and there is no cluster key: "
            "make one with raftreg keygen cluster.key, copy it to every node, give --cluster-key-file cluster.key"
        )
    return _config(
        values,
        warnings,
        node=node,
        data_dir=data_dir,
        peers=peers,
        cluster_key=cluster_key,
        reached_at=peers.get(node) or _reached_at(values, raft),
    )


def _peers(values: _Values, node: str) -> dict[str, Address]:
    """The peers, this node among them; none where it joins a cluster or has one already."""
    peers: dict[str, Address] = values.optional("peers", dict) or {}
    if peers and node not in peers:
        raise ConfigError(
            f'{values.source("peers")}: this node, "{node}", is not among {", ".join(peers)}: '
            "name every node, this one included"
        )
    if peers and values.is_given("join"):
        raise ConfigError(
            f"{values.source('join')}: {values.source('peers')} is given as well: peers make a cluster together, join "
            "is for a node that comes to one; keep one of them"
        )
    return peers


def _reached_at(values: _Values, raft: Address) -> Address:
    """Where others reach a node that is not among peers."""
    host = values.optional("advertise", str)
    if host is None and raft.is_everywhere:
        raise ConfigError(
            f"{values.source('raft')}: {raft} is no address by which others reach this node: give --advertise HOST "
            "as well"
        )
    if raft.port == 0:
        raise ConfigError(f"{values.source('raft')}: the others have to know the port: choose one")
    return Address(host or raft.host, raft.port)


def _dev_config(values: _Values, warnings: list[str]) -> Config:
    return _config(
        values,
        warnings,
        node=values.optional("node", str) or "dev",
        data_dir=None,
        peers={},
        cluster_key=None,
        reached_at=Address("127.0.0.1", values.get("raft", Address).port),
    )


def _config(
    values: _Values,
    warnings: Iterable[str],
    *,
    node: str,
    data_dir: Path | None,
    peers: Mapping[str, Address],
    cluster_key: bytes | None,
    reached_at: Address,
) -> Config:
    return Config(
        node=node,
        data_dir=data_dir,
        http=values.get("http", Address),
        raft=values.get("raft", Address),
        **_dns(values),
        peers=peers,
        join=values.optional("join", tuple) or (),
        rejoin=values.get("rejoin", str),
        advertise=values.optional("advertise", str) or reached_at.host,
        raft_advertise=reached_at,
        cluster_key=cluster_key,
        dc=values.get("dc", str),
        timing=values.get("timing", str),
        write_timeout_s=values.get("write-timeout", float),
        read_timeout_s=values.get("read-timeout", float),
        snapshot_entries=values.get("snapshot-entries", int),
        enable_script_checks=values.get("enable-script-checks", bool),
        enable_local_script_checks=values.get("enable-local-script-checks", bool),
        check_ca_file=values.optional("check-ca-file", Path),
        log_level=values.get("log-level", str),
        log_json=values.get("log-json", bool),
        warnings=tuple(warnings),
    )


def _dns(values: _Values) -> _Dns:
    listen: object = values.get("dns", object)
    recursors: tuple[Address, ...] = values.optional("dns-recursors", tuple) or ()
    options = DnsOptions(
        domain=values.optional("dns-domain", str),
        service_ttls=values.get("dns-service-ttl", dict),
        node_ttl=values.get("dns-node-ttl", int),
        only_passing=values.get("dns-only-passing", bool),
        recursors=recursors,
        udp_answer_limit=values.get("dns-udp-answer-limit", int),
    )
    address = listen if isinstance(listen, Address) else None
    return {"dns": address, "dns_is_given": values.is_given("dns"), "dns_options": options}


def _from_file(path: Path) -> dict[str, _Given]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is no valid TOML: {error}") from None
    given: dict[str, _Given] = {}
    for key, value in table.items():
        source = f"{path}: {key}"
        if key == "cluster-key":
            raise ConfigError(
                f"{source}: keep the key out of this file; give cluster-key-file or RAFTREG_CLUSTER_KEY"
            )
        if key not in BY_NAME:
            raise ConfigError(f'{path}: unknown key "{key}"{_did_you_mean(key, list(BY_NAME))}')
        given[key] = _Given(_as_text(value, source), source)
    return given


def _as_text(value: object, source: str) -> str:
    """A TOML value as it would be written on the command line; the peers may be a table."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case dict():
            return ",".join(f"{name}={address}" for name, address in value.items())
        case list() if all(isinstance(item, str) for item in value):
            return ",".join(value)
    raise ConfigError(f"{source}: a text, a number, true or false is expected here")


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f': did you mean "{close[0]}"?' if close else f"; known are {', '.join(known)}"


def _misspelt_variables(environ: Mapping[str, str]) -> Iterable[str]:
    known = [setting.variable for setting in SETTINGS] + list(OTHER_VARIABLES)
    for variable in sorted(environ):
        if variable.startswith("RAFTREG_") and variable not in known:
            close = difflib.get_close_matches(variable, known, n=1, cutoff=0.8)
            if close:
                yield f"the variable {variable} is not known and was ignored: did you mean {close[0]}?"


def _doubtful_peers(peers: Mapping[str, Address]) -> Iterable[str]:
    count = len(peers)
    if count == 1:
        yield (
            "peers names this node alone: nothing is replicated, no failure is survived, and whenever its data "
            "directory is empty it makes another cluster; to begin with one node run raftreg init once, without peers"
        )
    elif count and count % 2 == 0:
        yield (
            f"peers names {count} nodes, an even number: that survives no more failures than {count - 1} "
            f"and needs one more node for a majority; use {count - 1} or {count + 1}"
        )


def _cluster_key(values: _Values, warnings: list[str]) -> bytes | None:
    key = values.optional("cluster-key", bytes)
    path = values.optional("cluster-key-file", Path)
    if path is None:
        return key
    source = values.source("cluster-key-file")
    if key is not None:
        raise ConfigError(f"{source}: there is RAFTREG_CLUSTER_KEY as well; keep one of them")
    try:
        text = path.read_text(encoding="ascii")
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError as error:
        raise ConfigError(
            f"{source}: {path} cannot be read: {error.strerror} (raftreg keygen {path} makes one)"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{source}: {path} is no cluster key: make one with raftreg keygen") from None
    if mode & 0o077:
        warnings.append(f"the cluster key {path} can be read by others (mode {mode:04o}): chmod 600 {path}")
    try:
        return parse_cluster_key(text)
    except ValueError as error:
        raise ConfigError(f"{source}: {path} is {error}") from None
