"""Commands for prepared queries. See `raftreg.commands`, which puts them beside the others."""

from dataclasses import dataclass
from typing import Any

from raftreg.codec import Shape, flag, integer, many, mapping, optional, text, unsigned
from raftreg.model import PreparedQuery, ServiceQuery, Template


@dataclass(frozen=True, slots=True)
class QueryPut:
    """Create a prepared query under an id that its sender chose, or with `exists` replace the one of that id.

    Result: the id. Refused (recorded): no such query to replace, a name that another query has, an unknown session.
    """

    query: PreparedQuery
    exists: bool = False


@dataclass(frozen=True, slots=True)
class QueryDelete:
    """Delete a prepared query. Result: True. Refused (recorded) if there is none of that id."""

    id: str


QueryCommand = QueryPut | QueryDelete

_texts = many(text)
_text_map = mapping(text)
_TEMPLATE = Shape(Template, type=text, regexp=text, remove_empty_tags=flag)
_SERVICE_QUERY = Shape(
    ServiceQuery, service=text, only_passing=flag, ignore_check_ids=optional(_texts), near=text,
    tags=optional(_texts), node_meta=optional(_text_map), service_meta=optional(_text_map), connect=flag,
    failover_nearest=integer, failover_datacenters=optional(_texts),
)  # fmt: skip
_PREPARED_QUERY = Shape(
    PreparedQuery, id=text, name=text, service=_SERVICE_QUERY.record, session=text, token=text,
    template=_TEMPLATE.record, dns_ttl=text, create_index=unsigned, modify_index=unsigned,
)  # fmt: skip

# In the order of their numbers, within those of `raftreg.commands`: new ones go to the end there, not here.
QUERY_SHAPES: tuple[Shape[Any], ...] = (
    Shape(QueryPut, query=_PREPARED_QUERY.record, exists=flag),
    Shape(QueryDelete, id=text),
)
