"""The bodies of agent requests: definitions of services and checks, their validation, and the records they become."""

import ipaddress
from typing import Final

from raftreg.api.bodies import SERVICE_FIELDS, Body, is_any_address, service_extra, service_weights
from raftreg.api.decode import BOOL, DURATION, INT, STRING, STRINGS, ListOf, MapOf, Object, Shape
from raftreg.api.metadata import metadata_mistake
from raftreg.api.probe_kinds import probe_kind
from raftreg.api.proxies import proxy_mistake
from raftreg.errors import Refused
from raftreg.model import Check, Probe, Service

STATUSES: Final = frozenset({"passing", "warning", "critical"})
_INTERVAL_S_MIN: Final = 1.0
_DEREGISTER_S_MIN: Final = 60.0

_CHECK_FIELDS: dict[str, Shape] = {
    "Name": STRING,
    "Notes": STRING,
    "Status": STRING,
    "ScriptArgs": STRINGS,
    "HTTP": STRING,
    "H2PING": STRING,
    "H2PingUseTLS": BOOL,
    "Header": MapOf(STRINGS, "map[string][]string"),
    "Method": STRING,
    "Body": STRING,
    "DisableRedirects": BOOL,
    "TCP": STRING,
    "TCPUseTLS": BOOL,
    "UDP": STRING,
    "Interval": DURATION,
    "AliasNode": STRING,
    "AliasService": STRING,
    "DockerContainerID": STRING,
    "Shell": STRING,
    "GRPC": STRING,
    "GRPCUseTLS": BOOL,
    "OSService": STRING,
    "TLSServerName": STRING,
    "TLSSkipVerify": BOOL,
    "Timeout": DURATION,
    "TTL": DURATION,
    "SuccessBeforePassing": INT,
    "FailuresBeforeWarning": INT,
    "FailuresBeforeCritical": INT,
    "DeregisterCriticalServiceAfter": DURATION,
    "OutputMaxSize": INT,
    "Namespace": STRING,
    "Partition": STRING,
}
_CHECK_ALIASES = {
    "args": "ScriptArgs",
    "script_args": "ScriptArgs",
    "deregister_critical_service_after": "DeregisterCriticalServiceAfter",
    "docker_container_id": "DockerContainerID",
    "tls_server_name": "TLSServerName",
    "tls_skip_verify": "TLSSkipVerify",
    "grpc_use_tls": "GRPCUseTLS",
    "service_id": "ServiceID",
    "alias_node": "AliasNode",
    "alias_service": "AliasService",
    "success_before_passing": "SuccessBeforePassing",
    "failures_before_critical": "FailuresBeforeCritical",
    "output_max_size": "OutputMaxSize",
}
# Consul decodes definitions into types without a name, which its messages show.
_TYPE_OF_CHECK = (
    "struct {{ Interval interface {{}}; Timeout interface {{}}; TTL interface {{}}; "
    "DeregisterCriticalServiceAfter interface {{}}; "
    'Args []string "json:\\"args\\""; ScriptArgsSnake []string "json:\\"script_args\\""; '
    'DeregisterCriticalServiceAfterSnake interface {{}} "json:\\"deregister_critical_service_after\\""; '
    'DockerContainerIDSnake string "json:\\"docker_container_id\\""; '
    'TLSSkipVerifySnake bool "json:\\"tls_skip_verify\\""; {}'
    'ServiceIDSnake string "json:\\"service_id\\""; *structs.Alias }}'
)
_TYPE_OF_SERVICE = (
    'struct { EnableTagOverrideSnake bool "json:\\"enable_tag_override\\""; '
    'TaggedAddressesSnake map[string]structs.ServiceAddress "json:\\"tagged_addresses\\""; *structs.Alias }'
)
CHECK_DEFINITION = Object(
    "",
    {**_CHECK_FIELDS, "ID": STRING, "CheckID": STRING, "ServiceID": STRING, "Token": STRING},
    _CHECK_ALIASES,
    type_name=_TYPE_OF_CHECK.format(""),
)
_CHECK_TYPE = Object(
    "CheckType",
    {**_CHECK_FIELDS, "CheckID": STRING, "ProxyHTTP": STRING, "ProxyGRPC": STRING},
    {alias: name for alias, name in _CHECK_ALIASES.items() if alias != "service_id"} | {"id": "CheckID"},
    type_name=_TYPE_OF_CHECK.format('ServiceID string "json:\\"ServiceID\\""; '),
    hides_path=True,
)
SERVICE_DEFINITION = Object(
    "",
    {
        **SERVICE_FIELDS,
        "Name": STRING,
        "Check": _CHECK_TYPE,
        "Checks": ListOf(_CHECK_TYPE, "structs.CheckTypes"),
        "Token": STRING,
    },
    {"enable_tag_override": "EnableTagOverride", "tagged_addresses": "TaggedAddresses"},
    type_name=_TYPE_OF_SERVICE,
)
CHECK_UPDATE = Object("checkUpdate", {"Status": STRING, "Output": STRING}, type_name="agent.checkUpdate")

_COMMON_FIELDS = frozenset(
    {"ID", "CheckID", "ServiceID", "Token", "Name", "Notes", "Status", "Interval", "Timeout", "TTL"}
)
_PROBE_NUMBERS = frozenset(
    {"SuccessBeforePassing", "FailuresBeforeCritical", "DeregisterCriticalServiceAfter"}
)


def service_of(body: Body, node: str) -> tuple[Service, list[Body]]:
    """The service that a definition means, and the definitions of its checks. Refused (400) for what is wrong."""
    name = body.get("Name", "")
    if not name:
        raise Refused(400, "Missing service name")
    if is_any_address(body.get("Address", "")):
        raise Refused(400, "Invalid service address")
    _check_weights(body.get("Weights"))
    wrong = metadata_mistake(body.get("Meta") or {})
    if wrong:
        raise Refused(400, f"Invalid Service Meta: {wrong}")
    wrong = proxy_mistake(body)
    if wrong:
        raise Refused(400, wrong)
    checks = _checks_of(body)
    tags = body.get("Tags")
    address, port = body.get("Address", ""), body.get("Port", 0)
    service = Service(
        node=node,
        id=body.get("ID") or name,
        name=name,
        tags=None if tags is None else tuple(tags),
        address=address,
        port=port,
        tagged_addresses=_tagged_addresses(body.get("TaggedAddresses"), address, port),
        meta=body.get("Meta"),
        weights=service_weights(body),
        enable_tag_override=body.get("EnableTagOverride", False),
        extra=service_extra(body),
    )
    return service, checks


def service_checks(service: Service, definitions: list[Body]) -> tuple[Check, ...]:
    """The checks of a service: numbered if there are several."""
    checks = []
    for number, body in enumerate(definitions, start=1):
        default_id = f"service:{service.id}" + (f":{number}" if len(definitions) > 1 else "")
        checks.append(
            _check(
                body,
                service.node,
                check_id=body.get("CheckID") or default_id,
                name=body.get("Name") or f"Service '{service.name}' check",
                service_id=service.id,
            )
        )
    return tuple(checks)


def check_of(body: Body, node: str) -> Check:
    """The check that a definition of its own means. Refused (400 or 500) for what is wrong."""
    name = body.get("Name", "")
    if not name:
        raise Refused(400, "Missing check name")
    if body.get("Status") and body["Status"] not in STATUSES:
        raise Refused(400, "Bad check status")
    _validate(body)
    check_id = body.get("ID") or body.get("CheckID") or name
    return _check(body, node, check_id=check_id, name=name, service_id=body.get("ServiceID", ""))


def _checks_of(body: Body) -> list[Body]:
    single = body.get("Check")
    given: list[Body] = [*([single] if single and any(single.values()) else ()), *body.get("Checks", ())]
    for check in given:
        _validate(check)
    for check in given:
        if check.get("Status") and check["Status"] not in STATUSES:
            raise Refused(400, "Status for checks must 'passing', 'warning', 'critical'")
    return given


def _check(body: Body, node: str, *, check_id: str, name: str, service_id: str) -> Check:
    kind = probe_kind(body)
    return Check(
        node=node,
        id=check_id,
        name=name,
        status=body.get("Status") or "critical",
        notes=body.get("Notes", ""),
        service_id=service_id,
        type=kind,
        probe=_probe(body, kind),
    )


def _probe(body: Body, kind: str) -> Probe:
    interval_s, deregister_s = body.get("Interval", 0.0), body.get("DeregisterCriticalServiceAfter", 0.0)
    options = {
        name: value
        for name, value in body.items()
        if value and name not in _COMMON_FIELDS and name not in _PROBE_NUMBERS
    }
    return Probe(
        kind=kind,
        ttl_s=body.get("TTL", 0.0),
        interval_s=max(interval_s, _INTERVAL_S_MIN) if interval_s else 0.0,
        timeout_s=max(body.get("Timeout", 0.0), 0.0),
        deregister_after_s=max(deregister_s, _DEREGISTER_S_MIN) if deregister_s > 0 else 0.0,
        success_before_passing=body.get("SuccessBeforePassing", 0),
        failures_before_critical=body.get("FailuresBeforeCritical", 0),
        options=options or None,
    )


def _validate(body: Body) -> None:
    """Refused (400) if the kind of check, its interval and its TTL do not go together."""
    interval_s, ttl_s = body.get("Interval", 0.0), body.get("TTL", 0.0)
    probed = any(
        body.get(field) for field in ("ScriptArgs", "HTTP", "TCP", "UDP", "GRPC", "H2PING", "OSService")
    )
    alias = bool(body.get("AliasNode") or body.get("AliasService"))
    why = ""
    if interval_s > 0 and ttl_s > 0:
        why = "Interval and TTL cannot both be specified"
    elif probed and interval_s <= 0:
        why = "Interval must be > 0 for Script, HTTP, or TCP checks"
    elif probed and alias:
        why = "Interval cannot be set for Alias checks"
    elif alias and ttl_s > 0:
        why = "TTL must be not be set for Alias checks"
    elif not probed and not alias and ttl_s <= 0:
        why = "TTL must be > 0 for TTL checks"
    elif body.get("OutputMaxSize", 0) < 0:
        why = "MaxOutputMaxSize must be positive"
    if why:
        raise Refused(400, f"Invalid check: {why}")


def _check_weights(given: Body | None) -> None:
    if given is None:
        return
    why = ""
    if given.get("Passing", 0) < 1:
        why = "Passing must be greater than 0"
    elif given.get("Warning", 0) < 0:
        why = "Warning must be greater or equal than 0"
    elif given.get("Passing", 0) > 65535 or given.get("Warning", 0) > 65535:
        why = "DNS Weight must be between 0 and 65535"
    if why:
        raise Refused(400, f"Invalid Weights: {why}")


def _tagged_addresses(given: Body | None, address: str, port: int) -> Body | None:
    """The addresses as given, and the service's own address under the names of its family."""
    addresses = dict(given or {})
    if given is not None:
        addresses = {
            name: {"Address": a.get("Address", ""), "Port": a.get("Port", 0)} for name, a in given.items()
        }
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return addresses or None
    for name in (f"lan_ipv{version}", f"wan_ipv{version}"):
        addresses.setdefault(name, {"Address": address, "Port": port})
    return addresses
