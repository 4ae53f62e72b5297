"""Which kinds of checks may be registered at this node: some need the operator's leave, some a library."""

import ipaddress
from collections.abc import Iterable
from typing import Final

from raftreg.api.context import ApiContext
from raftreg.api.http import Request
from raftreg.checks import grpc
from raftreg.errors import Refused
from raftreg.model import Check

SCRIPTS_DISABLED: Final = (
    "Scripts are disabled on this agent from remote calls; "
    "to enable, configure 'enable_script_checks' to true"
)
_NOT_BUILT: Final = {"docker": "Docker", "h2ping": "H2PING", "os_service": "OSService"}


def refuse_unprobed(context: ApiContext, request: Request, checks: Iterable[Check]) -> None:
    """Raise Refused for a check that this node may not or cannot probe, rather than store what never changes."""
    for check in checks:
        if check.type in ("script", "docker") and not _may_register_scripts(context, request):
            raise Refused(500, SCRIPTS_DISABLED)
        if check.type in _NOT_BUILT:
            text = f"{_NOT_BUILT[check.type]} checks are not supported; use HTTP, TCP, UDP, gRPC, script or TTL checks"
            raise Refused(400, f"Invalid check: {text}")
        if check.type == "grpc" and not grpc.is_available():
            raise Refused(400, f"Invalid check: {grpc.MISSING}")


def _may_register_scripts(context: ApiContext, request: Request) -> bool:
    return context.scripts == "any" or (context.scripts == "local" and _is_local(request.peer))


def _is_local(peer: str | None) -> bool:
    """Whether a request came from this machine. An unknown peer is no local one."""
    try:
        return peer is not None and ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
