"""What a configuration entry must not say, looked at alone, with the texts that clients know.

Whether entries fit together (protocols along a chain of services, subsets that another entry defines) is not checked:
nothing here acts upon them.
"""

from collections.abc import Callable
from typing import Any, Final

from raftreg.durations import parse_nanoseconds
from raftreg.errors import Refused

Body = dict[str, Any]
_PROTOCOLS: Final = ("tcp", "http", "http2", "grpc")


def normalized(kind: str, name: str, body: Body) -> tuple[str, Body]:
    """Name and body as they are kept. Refused (500) for what Consul's own checks refuse."""
    if kind == "proxy-defaults":
        return "global", body
    if kind == "service-defaults":
        if not name:
            raise Refused(500, "serviceName is required")
        return name, body | {"Protocol": body["Protocol"].lower()}
    if kind in ("service-router", "service-splitter", "service-resolver") and not name:
        raise Refused(500, "Name is required")
    _CHECKS[kind](body)
    if not name:
        raise Refused(500, "failed inserting config entry: object missing primary index")
    return name, body


def _check_router(body: Body) -> None:
    for number, route in enumerate(body["Routes"] or ()):
        match = route.get("Match", {}).get("HTTP", {})
        paths = [name for name in ("PathExact", "PathPrefix", "PathRegex") if match.get(name)]
        if len(paths) > 1:
            text = "should only contain at most one of PathExact, PathPrefix, or PathRegex"
            raise Refused(500, f"Route[{number}] {text}")
        for name in ("PathExact", "PathPrefix"):
            path = match.get(name, "")
            if path and not path.startswith("/"):
                raise Refused(500, f"Route[{number}] {name} doesn't start with '/': \"{path}\"")
        for place, header in enumerate(match.get("Header", ())):
            if not header["Name"]:
                raise Refused(500, f"Route[{number}] Header[{place}] missing required Name field")
        for place, parameter in enumerate(match.get("QueryParam", ())):
            if not parameter["Name"]:
                raise Refused(500, f"Route[{number}] QueryParam[{place}] missing required Name field")


def _check_splitter(body: Body) -> None:
    splits = body["Splits"]
    if not splits:
        raise Refused(500, "no splits configured")
    # In hundredths, as weights are kept.
    total = sum(round(split["Weight"] * 100) for split in splits)
    if total != 10_000:
        raise Refused(500, f"the sum of all split weights must be 100, not {total / 100:f}")


def _check_resolver(body: Body) -> None:
    subsets = body.get("Subsets") or {}
    default = body.get("DefaultSubset", "")
    if "" in subsets:
        raise Refused(500, "Subset defined with empty name")
    if default and default not in subsets:
        raise Refused(500, f'DefaultSubset "{default}" is not a valid subset')
    redirect = body.get("Redirect")
    if redirect is not None:
        _check_redirect(redirect)
    for subset, failover in (body.get("Failover") or {}).items():
        if subset != "*" and subset not in subsets:
            raise Refused(500, f'Bad Failover["{subset}"]: not a valid subset')
        if not failover:
            needed = "one of Service, ServiceSubset, Namespace, or Datacenters is required"
            raise Refused(500, f'Bad Failover["{subset}"] {needed}')
    timeout = body.get("ConnectTimeout", "")
    if timeout and parse_nanoseconds(timeout) < 0:
        raise Refused(500, f"Bad ConnectTimeout '{timeout}', must be >= 0")


def _check_redirect(redirect: Body) -> None:
    if not redirect:
        raise Refused(500, "Redirect is empty")
    if not redirect.get("Service"):
        for name in ("ServiceSubset", "Namespace"):
            if redirect.get(name):
                raise Refused(500, f"Redirect.{name} defined without Redirect.Service")


def _check_ingress(body: Body) -> None:
    ports: set[int] = set()
    for listener in body["Listeners"] or ():
        port = listener["Port"]
        protocol = listener["Protocol"] = listener["Protocol"].lower() or "tcp"
        if port in ports:
            raise Refused(500, f"port {port} declared on two listeners")
        ports.add(port)
        if protocol not in _PROTOCOLS:
            known = "protocol must be 'tcp', 'http', 'http2', or 'grpc'."
            raise Refused(500, f"{known} '{protocol}' is an unsupported protocol")
        services = listener["Services"] or []
        if not services:
            raise Refused(500, f"No service declared for listener with port {port}")
        if protocol == "tcp" and len(services) > 1:
            raise Refused(
                500,
                f"Multiple services per listener are only supported for protocol = 'http' (listener on port {port})",
            )
        for service in services:
            if not service["Name"]:
                raise Refused(500, f"Service name cannot be blank (listener on port {port})")
            if service["Name"] == "*" and protocol == "tcp":
                raise Refused(
                    500,
                    f"Wildcard service name is only valid for protocol = 'http' (listener on port {port})",
                )


def _check_terminating(body: Body) -> None:
    seen: set[str] = set()
    for service in body["Services"] or ():
        name = service["Name"]
        if not name:
            raise Refused(500, "Service name cannot be blank.")
        if name in seen:
            raise Refused(500, f'Service "{name}" was specified more than once within a namespace')
        seen.add(name)
        if (service.get("CertFile") or service.get("KeyFile")) and not all(
            service.get(part) for part in ("CertFile", "KeyFile", "CAFile")
        ):
            needed = "must have a CertFile, CAFile, and KeyFile specified for TLS origination"
            raise Refused(500, f'Service "{name}" {needed}')


_CHECKS: Final[dict[str, Callable[[Body], None]]] = {
    "service-router": _check_router,
    "service-splitter": _check_splitter,
    "service-resolver": _check_resolver,
    "ingress-gateway": _check_ingress,
    "terminating-gateway": _check_terminating,
}
