"""The bodies of /v1/query: what they may hold, what is refused, and the record that they mean."""

from typing import Final

from raftreg import templates
from raftreg.api.bodies import Body
from raftreg.api.decode import BOOL, INT, STRING, STRING_MAP, STRINGS, Object, decode_body
from raftreg.api.metadata import metadata_mistake
from raftreg.durations import parse_duration
from raftreg.errors import Refused
from raftreg.model import PreparedQuery, ServiceQuery, Template

_HIDDEN_TOKEN: Final = "<hidden>"
_UUID_LENGTH: Final = 36

_SERVICE = Object(
    "ServiceQuery",
    {
        "Service": STRING,
        "Namespace": STRING,
        "Failover": Object("QueryDatacenterOptions", {"NearestN": INT, "Datacenters": STRINGS}),
        "OnlyPassing": BOOL,
        "IgnoreCheckIDs": STRINGS,
        "Near": STRING,
        "Tags": STRINGS,
        "NodeMeta": STRING_MAP,
        "ServiceMeta": STRING_MAP,
        "Connect": BOOL,
    },
)
PREPARED_QUERY = Object(
    "PreparedQuery",
    {
        "ID": STRING,
        "Name": STRING,
        "Session": STRING,
        "Token": STRING,
        "Template": Object(
            "QueryTemplateOptions", {"Type": STRING, "Regexp": STRING, "RemoveEmptyTags": BOOL}
        ),
        "Service": _SERVICE,
        "DNS": Object("QueryDNSOptions", {"TTL": STRING}),
        "CreateIndex": INT,
        "ModifyIndex": INT,
    },
)


def query_body(body: bytes) -> Body:
    """The fields that the body gives. Refused (400) for what is no prepared query."""
    return decode_body(body, PREPARED_QUERY)


def query_of(body: Body, query_id: str) -> PreparedQuery:
    """The prepared query that a body means, under this id. Refused (500) for what is wrong with it."""
    template = body.get("Template") or {}
    query = PreparedQuery(
        id=query_id,
        name=body.get("Name", ""),
        service=_service(body.get("Service") or {}),
        session=body.get("Session", ""),
        token=body.get("Token", ""),
        template=Template(
            template.get("Type", ""), template.get("Regexp", ""), template.get("RemoveEmptyTags", False)
        ),
        dns_ttl=(body.get("DNS") or {}).get("TTL", ""),
    )
    why = _mistake(query)
    if why:
        raise Refused(500, f"Invalid prepared query: {why}")
    if query.session and len(query.session) != _UUID_LENGTH:
        raise Refused(500, "invalid session: index error: UUID must be 36 characters")
    templates.check(query)
    return query


def _service(body: Body) -> ServiceQuery:
    failover = body.get("Failover") or {}
    return ServiceQuery(
        service=body.get("Service", ""),
        only_passing=body.get("OnlyPassing", False),
        ignore_check_ids=_tuple(body.get("IgnoreCheckIDs")),
        near=body.get("Near", ""),
        tags=_tuple(body.get("Tags")),
        node_meta=body.get("NodeMeta"),
        service_meta=body.get("ServiceMeta"),
        connect=body.get("Connect", False),
        failover_nearest=failover.get("NearestN", 0),
        failover_datacenters=_tuple(failover.get("Datacenters")),
    )


def _tuple(texts: list[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(texts)


def _mistake(query: PreparedQuery) -> str:
    """What is wrong with a query, "" if nothing is."""
    service = query.service
    if not query.name and not query.session and not query.template.type:
        return "Must be bound to a session"
    if query.token == _HIDDEN_TOKEN:
        return f"Bad Token '{_HIDDEN_TOKEN}', it looks like a query definition with a redacted token was submitted"
    if not service.service:
        return "Must provide a Service name to query"
    if service.failover_nearest < 0:
        return f"Bad NearestN '{service.failover_nearest}', must be >= 0"
    return metadata_mistake(service.node_meta or {}, reserved_allowed=True) or _ttl_mistake(query.dns_ttl)


def _ttl_mistake(text: str) -> str:
    if not text:
        return ""
    try:
        ttl_s = parse_duration(text)
    except ValueError as error:
        return f"Bad DNS TTL '{text}': {error}"
    return f"DNS TTL '{round(ttl_s * 1e9)}', must be >=0" if ttl_s < 0 else ""
