"""How the status of a check is found out, by what its definition names."""

from collections.abc import Mapping
from typing import Any, Final

_FIELDS: Final = (("GRPC", "grpc"), ("HTTP", "http"), ("TTL", "ttl"), ("TCP", "tcp"), ("UDP", "udp"))
_AT_INTERVALS: Final = frozenset({"grpc", "http", "tcp", "udp", "script", "docker"})


def probe_kind(body: Mapping[str, Any]) -> str:
    """The kind of a definition: that of the first field that was given; "" if there is none."""
    for name, kind in _FIELDS:
        if body.get(name):
            return kind
    if body.get("AliasNode") or body.get("AliasService"):
        return "alias"
    if body.get("ScriptArgs"):
        return "docker" if body.get("DockerContainerID") else "script"
    return "h2ping" if body.get("H2PING") else "os_service" if body.get("OSService") else ""


def check_type(body: Mapping[str, Any]) -> str:
    """The Type that Consul shows of a check with this definition in the catalog: probes without interval have none."""
    kind = probe_kind(body)
    return "" if kind in _AT_INTERVALS and not body.get("Interval") else kind
