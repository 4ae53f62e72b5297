"""Records of the model as the JSON objects of Consul's API: its field names, its nulls and its defaults.

Each family shows the same record differently: an absent Meta of a service is null beside its node and `{}` in a
flat list; empty tags are always `[]`; an agent leaves out what it never decided.
"""

from collections.abc import Mapping, Sequence

from raftreg.instances import fair_weights
from raftreg.model import Check, Node, PreparedQuery, Service, Session, Weights

Json = dict[str, object]


def node_json(node: Node, datacenter: str) -> Json:
    """A node as catalog/nodes, catalog/node and health/service show it."""
    return {
        "ID": node.id,
        "Node": node.name,
        "Address": node.address,
        "Datacenter": datacenter,
        "TaggedAddresses": _copy(node.tagged_addresses),
        "Meta": _copy(node.meta),
        "CreateIndex": node.create_index,
        "ModifyIndex": node.modify_index,
    }


def service_json(service: Service) -> Json:
    """An instance beside its node: catalog/node, catalog/node-services, health/service."""
    extra = service.extra or {}
    shown: Json = {
        "ID": service.id,
        "Service": service.name,
        "Tags": list(service.tags or ()),
        "Address": service.address,
    }
    if extra.get("Kind"):
        shown["Kind"] = extra["Kind"]
    if service.tagged_addresses:
        shown["TaggedAddresses"] = dict(service.tagged_addresses)
    return shown | {
        "Meta": _copy(service.meta),
        "Port": service.port,
        "Weights": weights_json(service.weights),
        "EnableTagOverride": service.enable_tag_override,
        "Proxy": _proxy_json(extra),
        "Connect": extra.get("Connect", {}),
        "CreateIndex": service.create_index,
        "ModifyIndex": service.modify_index,
    }


def flat_service_json(node: Node, service: Service, datacenter: str) -> Json:
    """An instance and its node in one object: catalog/service, catalog/connect."""
    extra = service.extra or {}
    shown: Json = {
        "ID": node.id,
        "Node": node.name,
        "Address": node.address,
        "Datacenter": datacenter,
        "TaggedAddresses": _copy(node.tagged_addresses),
        "NodeMeta": _copy(node.meta),
        "ServiceKind": extra.get("Kind", ""),
        "ServiceID": service.id,
        "ServiceName": service.name,
        "ServiceTags": list(service.tags or ()),
        "ServiceAddress": service.address,
    }
    if service.tagged_addresses:
        shown["ServiceTaggedAddresses"] = dict(service.tagged_addresses)
    return shown | {
        "ServiceWeights": weights_json(service.weights),
        "ServiceMeta": dict(service.meta or {}),
        "ServicePort": service.port,
        "ServiceEnableTagOverride": service.enable_tag_override,
        "ServiceProxy": _proxy_json(extra),
        "ServiceConnect": extra.get("Connect", {}),
        "CreateIndex": service.create_index,
        "ModifyIndex": service.modify_index,
    }


def check_json(check: Check) -> Json:
    """A check as the catalog knows it."""
    return {
        "Node": check.node,
        "CheckID": check.id,
        "Name": check.name,
        "Status": check.status,
        "Notes": check.notes,
        "Output": check.output,
        "ServiceID": check.service_id,
        "ServiceName": check.service_name,
        "ServiceTags": list(check.service_tags or ()),
        "Type": check.type,
        "Definition": _copy(check.definition) or {},
        "CreateIndex": check.create_index,
        "ModifyIndex": check.modify_index,
    }


def health_json(node: Node, service: Service, checks: Sequence[Check], datacenter: str) -> Json:
    """An instance with its node and all checks that decide about it."""
    return {
        "Node": node_json(node, datacenter),
        "Service": service_json(service),
        "Checks": [check_json(check) for check in checks],
    }


def agent_service_json(service: Service) -> Json:
    """An instance as its agent shows it."""
    extra = service.extra or {}
    shown: Json = {
        "ID": service.id,
        "Service": service.name,
        "Tags": list(service.tags or ()),
        "Meta": dict(service.meta or {}),
        "Port": service.port,
        "Address": service.address,
    }
    if service.tagged_addresses:
        shown["TaggedAddresses"] = dict(service.tagged_addresses)
    shown["Weights"] = weights_json(service.weights)
    shown["EnableTagOverride"] = service.enable_tag_override
    shown |= {name: extra[name] for name in ("Kind", "Proxy", "Connect") if extra.get(name)}
    if extra.get("Kind") == "connect-proxy":
        shown["Proxy"] = _proxy_json(extra)
    return shown


def agent_check_json(check: Check) -> Json:
    """A check as its agent shows it: indexes belong to the catalog."""
    return check_json(check) | {"Definition": {}, "CreateIndex": 0, "ModifyIndex": 0}


def agent_health_check_json(check: Check) -> Json:
    """A check within agent/health/service: without its type, and with an empty definition spelled out."""
    definition: Json = {
        "HTTP": "",
        "Header": None,
        "Method": "",
        "Body": "",
        "TLSSkipVerify": False,
        "TCP": "",
        "Interval": "0s",
        "Timeout": "0s",
        "DeregisterCriticalServiceAfter": "0s",
    }
    tags = None if check.service_tags is None else list(check.service_tags)
    return agent_check_json(check) | {"ServiceTags": tags, "Type": "", "Definition": definition}


def session_json(session: Session) -> Json:
    """A session; Checks is there only if its creator gave some."""
    shown: Json = {
        "ID": session.id,
        "Name": session.name,
        "Node": session.node,
        "LockDelay": session.lock_delay_ns,
        "Behavior": session.behavior,
        "TTL": session.ttl,
        "NodeChecks": list(session.node_checks),
        "ServiceChecks": None,
    }
    if session.service_checks is not None:
        shown["ServiceChecks"] = [
            {"ID": check_id, "Namespace": namespace} for check_id, namespace in session.service_checks
        ]
    if session.checks:
        shown["Checks"] = list(session.checks)
    return shown | {"CreateIndex": session.create_index, "ModifyIndex": session.modify_index}


def weights_json(weights: Weights) -> Json:
    """DNS weights; what the registrar gave wrong counts as 1 and 1."""
    fair = fair_weights(weights)
    return {"Passing": fair.passing, "Warning": fair.warning}


def prepared_query_json(query: PreparedQuery) -> Json:
    """A prepared query as it was given, every field spelled out."""
    service, template = query.service, query.template
    return {
        "ID": query.id,
        "Name": query.name,
        "Session": query.session,
        "Token": query.token,
        "Template": {
            "Type": template.type,
            "Regexp": template.regexp,
            "RemoveEmptyTags": template.remove_empty_tags,
        },
        "Service": {
            "Service": service.service,
            "Failover": {
                "NearestN": service.failover_nearest,
                "Datacenters": _list(service.failover_datacenters),
            },
            "OnlyPassing": service.only_passing,
            "IgnoreCheckIDs": _list(service.ignore_check_ids),
            "Near": service.near,
            "Tags": _list(service.tags),
            "NodeMeta": _copy(service.node_meta),
            "ServiceMeta": _copy(service.service_meta),
            "Connect": service.connect,
        },
        "DNS": {"TTL": query.dns_ttl},
        "CreateIndex": query.create_index,
        "ModifyIndex": query.modify_index,
    }


def _list(texts: Sequence[str] | None) -> list[str] | None:
    return None if texts is None else list(texts)


def _proxy_json(extra: Mapping[str, object]) -> Json:
    given = extra.get("Proxy")
    return {"MeshGateway": {}, "Expose": {}} | (dict(given) if isinstance(given, Mapping) else {})


def _copy(mapping: Mapping[str, object] | None) -> Json | None:
    return None if mapping is None else dict(mapping)
