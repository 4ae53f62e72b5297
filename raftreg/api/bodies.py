"""The bodies of catalog requests: what they may hold, and the commands that they mean."""

from typing import Any, Final

from raftreg.api.decode import (
    ANY,
    BOOL,
    DURATION,
    INT,
    STRING,
    STRING_MAP,
    STRINGS,
    ListOf,
    MapOf,
    Object,
    Shape,
)
from raftreg.api.metadata import metadata_mistake
from raftreg.api.probe_kinds import check_type
from raftreg.api.proxies import proxy_mistake
from raftreg.commands import Deregister, Register
from raftreg.durations import format_duration
from raftreg.errors import Refused
from raftreg.model import Check, Node, Service, Weights

_UUID_LENGTH: Final = 36
_UUID_HYPHENS: Final = (8, 13, 18, 23)
_HEX: Final = frozenset("0123456789abcdefABCDEF")

WEIGHTS = Object("Weights", {"Passing": INT, "Warning": INT})
ADDRESSES = MapOf(
    Object("ServiceAddress", {"Address": STRING, "Port": INT}), "map[string]structs.ServiceAddress"
)
PROXY = Object(
    "ConnectProxyConfig",
    {
        "DestinationServiceName": STRING,
        "DestinationServiceID": STRING,
        "LocalServiceAddress": STRING,
        "LocalServicePort": INT,
        "LocalServiceSocketPath": STRING,
        "Mode": STRING,
        "Config": ANY,
        "Upstreams": ANY,
        "MeshGateway": ANY,
        "Expose": ANY,
        "TransparentProxy": ANY,
    },
    {
        "destination_service_name": "DestinationServiceName",
        "destination_service_id": "DestinationServiceID",
        "local_service_address": "LocalServiceAddress",
        "local_service_port": "LocalServicePort",
        "mesh_gateway": "MeshGateway",
    },
    hides_path=True,
)
CONNECT = Object(
    "ServiceConnect", {"Native": BOOL, "SidecarService": ANY}, {"sidecar_service": "SidecarService"}
)
SERVICE_FIELDS: dict[str, Shape] = {
    "Kind": STRING,
    "ID": STRING,
    "Tags": STRINGS,
    "Address": STRING,
    "TaggedAddresses": ADDRESSES,
    "Meta": STRING_MAP,
    "Port": INT,
    "SocketPath": STRING,
    "Weights": WEIGHTS,
    "EnableTagOverride": BOOL,
    "Proxy": PROXY,
    "Connect": CONNECT,
    "Namespace": STRING,
    "Partition": STRING,
}
NODE_SERVICE = Object(
    "NodeService",
    {**SERVICE_FIELDS, "Service": STRING, "CreateIndex": INT, "ModifyIndex": INT, "ContentHash": STRING},
)
_DEFINITION_DURATIONS = ("Interval", "Timeout", "DeregisterCriticalServiceAfter")
_DEFINITION = Object(
    "HealthCheckDefinition",
    {
        "HTTP": STRING,
        "TLSServerName": STRING,
        "TLSSkipVerify": BOOL,
        "Header": MapOf(STRINGS, "map[string][]string"),
        "Method": STRING,
        "Body": STRING,
        "TCP": STRING,
        "UDP": STRING,
        "Interval": DURATION,
        "OutputMaxSize": INT,
        "Timeout": DURATION,
        "DeregisterCriticalServiceAfter": DURATION,
        "ScriptArgs": STRINGS,
        "DockerContainerID": STRING,
        "Shell": STRING,
        "GRPC": STRING,
        "GRPCUseTLS": BOOL,
        "AliasNode": STRING,
        "AliasService": STRING,
        "TTL": DURATION,
    },
)
HEALTH_CHECK = Object(
    "HealthCheck",
    {
        "Node": STRING,
        "CheckID": STRING,
        "Name": STRING,
        "Status": STRING,
        "Notes": STRING,
        "Output": STRING,
        "ServiceID": STRING,
        "ServiceName": STRING,
        "ServiceTags": STRINGS,
        "Type": STRING,
        "Definition": _DEFINITION,
        "Namespace": STRING,
        "Partition": STRING,
        "CreateIndex": INT,
        "ModifyIndex": INT,
    },
)
_WRITE_REQUEST = Object("WriteRequest", {"Token": STRING}, strict=False)  # Python's clients put tokens there
REGISTER = Object(
    "RegisterRequest",
    {
        "Datacenter": STRING,
        "ID": STRING,
        "Node": STRING,
        "Address": STRING,
        "TaggedAddresses": STRING_MAP,
        "NodeMeta": STRING_MAP,
        "Service": NODE_SERVICE,
        "Check": HEALTH_CHECK,
        "Checks": ListOf(HEALTH_CHECK, "structs.HealthChecks"),
        "SkipNodeUpdate": BOOL,
        "Partition": STRING,
        "Token": STRING,
        "WriteRequest": _WRITE_REQUEST,
    },
)
DEREGISTER = Object(
    "DeregisterRequest",
    {
        "Datacenter": STRING,
        "Node": STRING,
        "Address": STRING,
        "ServiceID": STRING,
        "CheckID": STRING,
        "Namespace": STRING,
        "Partition": STRING,
        "Token": STRING,
        "WriteRequest": _WRITE_REQUEST,
    },
)

Body = dict[str, Any]  # what `decode_body` gave: only the fields that were there, already of the right types


def register_command(body: Body) -> Register:
    """The command of a catalog registration. Refused (500) for what is missing."""
    node_name = body.get("Node", "")
    if not node_name:
        raise Refused(500, "Must provide node")
    skip = body.get("SkipNodeUpdate", False)
    if not body.get("Address") and not skip:
        raise Refused(500, "Must provide address if SkipNodeUpdate is not set")
    node_id = body.get("ID", "")
    check_uuid(node_id)
    node = Node(
        name=node_name,
        id=node_id.lower(),
        address=body.get("Address", ""),
        tagged_addresses=body.get("TaggedAddresses"),
        meta=body.get("NodeMeta"),
    )
    service = service_record(node_name, body["Service"]) if "Service" in body else None
    given = [*body.get("Checks", ()), *([body["Check"]] if "Check" in body else ())]
    checks = tuple(check_record(node_name, check) for check in given)
    return Register(node_name, node, service, checks)


def deregister_command(body: Body) -> Deregister:
    """The command of a catalog deregistration. Refused (500) without a node."""
    if not body.get("Node"):
        raise Refused(500, "Must provide node")
    return Deregister(body["Node"], body.get("ServiceID") or None, body.get("CheckID") or None)


def is_any_address(address: str) -> bool:
    """Whether it is the address by which a socket listens everywhere, where nobody can connect to."""
    return address in ("0.0.0.0", "::", "[::]")


def service_weights(body: Body) -> Weights:
    """Weights as given, 1 and 1 if they were not."""
    given = body.get("Weights")
    return Weights() if given is None else Weights(given.get("Passing", 0), given.get("Warning", 0))


def service_extra(body: Body) -> dict[str, object] | None:
    """What is kept and given back but not acted on; None if there is nothing."""
    extra: dict[str, object] = {
        name: body[name] for name in ("Kind", "Proxy", "Connect", "SocketPath") if body.get(name)
    }
    return extra or None


def service_record(node_name: str, body: Body) -> Service:
    service_id, name = body.get("ID", ""), body.get("Service", "")
    if service_id and not name:
        raise Refused(500, "Must provide service name with ID")
    if is_any_address(body.get("Address", "")):
        raise Refused(500, "Invalid service address")
    if not name:
        raise Refused(500, "failed inserting service: failed inserting service: object missing primary index")
    wrong = proxy_mistake(body)
    if wrong:
        raise Refused(500, wrong)
    wrong = metadata_mistake(body.get("Meta") or {})
    if wrong:
        where = f"node {node_name} and serviceID {service_id or name}"
        raise Refused(500, f"failed inserting service: Invalid Service Meta for {where}: {wrong}")
    tags = body.get("Tags")
    return Service(
        node=node_name,
        id=service_id or name,
        name=name,
        tags=None if tags is None else tuple(tags),
        address=body.get("Address", ""),
        port=body.get("Port", 0),
        tagged_addresses=body.get("TaggedAddresses"),
        meta=body.get("Meta"),
        weights=service_weights(body),
        enable_tag_override=body.get("EnableTagOverride", False),
        extra=service_extra(body),
    )


def check_record(node_name: str, body: Body) -> Check:
    check_id = body.get("CheckID") or body.get("Name", "")
    owner = body.get("Node") or node_name
    if owner.lower() != node_name.lower():
        raise Refused(500, f'check node "{owner}" does not match node "{node_name}"')
    if not check_id:
        text = f'failed inserting check: failed inserting check: object missing primary index on node "{node_name}"'
        raise Refused(500, text)
    tags = body.get("ServiceTags")
    return Check(
        node=node_name,
        id=check_id,
        name=body.get("Name", ""),
        status=body.get("Status") or "critical",
        notes=body.get("Notes", ""),
        output=body.get("Output", ""),
        service_id=body.get("ServiceID", ""),
        service_name=body.get("ServiceName", ""),
        service_tags=None if tags is None else tuple(tags),
        type=body.get("Type") or check_type(body.get("Definition") or {}),
        definition=_definition(body.get("Definition") or {}),
    )


def _definition(body: Body) -> dict[str, object] | None:
    """The definition as answers show it: without zero values, durations as texts."""
    shown: dict[str, object] = {}
    for name, value in body.items():
        if not value:
            continue
        if name in _DEFINITION_DURATIONS:
            shown[name] = format_duration(value)
        else:
            shown[name] = int(value * 1_000_000_000) if name == "TTL" else value
    return shown or None


def check_uuid(text: str) -> None:
    """Refused (500) for what is neither empty nor a UUID, in the words that clients know."""
    if not text:
        return
    if len(text) != _UUID_LENGTH:
        raise Refused(500, "Bad node ID: uuid string is wrong length")
    if any(text[place] != "-" for place in _UUID_HYPHENS):
        raise Refused(500, "Bad node ID: uuid is improperly formatted")
    for place, letter in enumerate(text):
        if place not in _UUID_HYPHENS and letter not in _HEX:
            raise Refused(500, f"Bad node ID: encoding/hex: invalid byte: U+{ord(letter):04X} '{letter}'")
