"""Prepared query templates: what one query makes of the name by which it was looked up.

`${name.full}`, `${name.prefix}`, `${name.suffix}`, `${match(N)}` and `${agent.segment}` (always empty) are replaced
wherever the query has text that says what it finds; `$${` stands for `${`. Consul's arithmetic is not here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from raftreg.errors import Refused
from raftreg.model import PreparedQuery, ServiceQuery
from raftreg.regex import Captures, PatternError

NAME_PREFIX_MATCH = "name_prefix_match"
_NAMES = ("name.full", "name.prefix", "name.suffix", "agent.segment")
_PLACE = re.compile(r"\$\$\{|\$\{")
_VARIABLE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]*)\s*")
_CALL = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]*)\(\s*([A-Za-z0-9_.]*)\s*\)\s*")
_REGEXPS_MAX = 256

Put = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class _Values:
    """What the variables stand for."""

    variables: Mapping[str, str]
    matches: tuple[str, ...]


class _Wrong(Exception):
    """A text with a mistake: `kind` and `why` are Consul's words."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(kind, why)
        self.kind = kind
        self.why = why


def check(query: PreparedQuery) -> None:
    """Refused (500) if the query is a template that could not be carried out."""
    template = query.template
    if not template.type:
        return
    if template.type != NAME_PREFIX_MATCH:
        raise Refused(500, f"failed compiling template: Bad Template.Type '{template.type}'")
    try:
        if template.regexp:
            _captures(template.regexp)
    except PatternError as error:
        raise Refused(500, f"failed compiling template: Bad Regexp: {error}") from None
    render(query, query.name)


def render(query: PreparedQuery, name: str) -> PreparedQuery:
    """The query that `name` stands for: a template filled in, any other as it is. Refused (500) for a bad template."""
    if not query.template.type:
        return query
    values = _values(query, name)

    def put(field: str) -> Put:
        def of(text: str) -> str:
            try:
                return _filled(text, values)
            except _Wrong as wrong:
                said = f"Bad {wrong.kind} '{text}' in {field}: {wrong.why}"
                raise Refused(500, f"failed compiling template: {said}") from None

        return of

    return replace(query, service=_rendered(query.service, put, query.template.remove_empty_tags))


def _rendered(service: ServiceQuery, put: Callable[[str], Put], remove_empty_tags: bool) -> ServiceQuery:
    tags = _each(service.tags, put("Service.Tags"))
    if tags is not None and remove_empty_tags:
        tags = tuple(tag for tag in tags if tag)
    return replace(
        service,
        service=put("Service.Service")(service.service),
        near=put("Service.Near")(service.near),
        tags=tags,
        ignore_check_ids=_each(service.ignore_check_ids, put("Service.IgnoreCheckIDs")),
        failover_datacenters=_each(service.failover_datacenters, put("Service.Failover.Datacenters")),
        node_meta=_each_value(service.node_meta, put("Service.NodeMeta")),
        service_meta=_each_value(service.service_meta, put("Service.ServiceMeta")),
    )


def _each(texts: tuple[str, ...] | None, put: Put) -> tuple[str, ...] | None:
    return None if texts is None else tuple(put(text) for text in texts)


def _each_value(pairs: Mapping[str, str] | None, put: Put) -> dict[str, str] | None:
    return None if pairs is None else {key: put(value) for key, value in pairs.items()}


def _values(query: PreparedQuery, name: str) -> _Values:
    prefix = query.name
    variables = {
        "name.full": name,
        "name.prefix": prefix,
        # Names are found without regard to case; the suffix is what follows the prefix as it is written.
        "name.suffix": name.removeprefix(prefix),
        "agent.segment": "",
    }
    found = _captures(query.template.regexp).search(name) if query.template.regexp else None
    return _Values(variables, found or ())


@lru_cache(_REGEXPS_MAX)
def _captures(regexp: str) -> Captures:
    return Captures(regexp)


def _filled(text: str, values: _Values) -> str:
    """`text` with what stands in `${...}` replaced."""
    parts = []
    at = 0
    while place := _PLACE.search(text, at):
        parts.append(text[at : place.start()])
        at = place.end()
        if place[0] == "$${":
            parts.append("${")
            continue
        end = text.find("}", at)
        if end < 0:
            raise _Wrong("format", "parse error: syntax error")
        parts.append(_value(text[at:end], at, values))
        at = end + 1
    return "".join((*parts, text[at:]))


def _value(expression: str, at: int, values: _Values) -> str:
    """What an expression stands for; `at` is where it begins, for messages."""
    if variable := _VARIABLE.fullmatch(expression):
        return _variable(variable[1], at + variable.start(1), values)
    call = _CALL.fullmatch(expression)
    if call is None:
        raise _Wrong("format", "parse error: syntax error")
    if call[1] != "match":
        raise _Wrong("evaluation for", f"1:{at + call.start(1) + 1}: unknown function called: {call[1]}")
    if not call[2].isascii() or not call[2].isdigit():
        _variable(call[2], at + call.start(2), values)
        raise _Wrong("evaluation for", "argument 1 to match must be a number")
    number = int(call[2][:9])
    return values.matches[number] if number < len(values.matches) else ""


def _variable(name: str, at: int, values: _Values) -> str:
    if name not in values.variables:
        raise _Wrong("evaluation for", f"1:{at + 1}: unknown variable accessed: {name}")
    return values.variables[name]
