"""The query parameters that many endpoints share, parsed once, and the two doors through which handlers use them.

Handlers call `parse_options`, then check their own parameters, then `read` or `write`: in that order the errors
come out as clients know them (a bad `wait` before a missing name, both before an unknown datacenter).
"""

import hashlib
import re
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeVar

from raftreg.api.context import ApiContext
from raftreg.api.http import Query as HttpQuery
from raftreg.api.http import Request
from raftreg.commands import Command, Ok
from raftreg.durations import parse_duration
from raftreg.errors import Refused
from raftreg.registry import Answer, ReadOptions
from raftreg.state import Query

T = TypeVar("T")

WAIT_S_DEFAULT = 300.0
WAIT_S_MAX = 600.0
UINT64_MAX = 2**64 - 1
_MODES_CONFLICT = "Cannot specify ?{} with ?consistent, conflicting semantics."


@dataclass(frozen=True, slots=True)
class Options:
    """What a request asked for besides its subject. `datacenter` is "" if none was named."""

    read: ReadOptions
    datacenter: str
    pretty: bool
    cached: bool
    filter: str


_INTEGER = re.compile(r"[+-]?[0-9]+")
_NOTHING_ASKED = Options(ReadOptions(), "", False, False, "")


def parse_options(context: ApiContext, request: Request) -> Options:
    """The shared parameters of the request. Refused (400) with the text that clients know for each mistake."""
    query, headers = request.query, request.headers
    if "Cache-Control" in headers:
        _check_cache_control(headers["Cache-Control"])
    if not query and "X-Raftreg-Min-Index" not in headers:
        return _NOTHING_ASKED
    minimum = query.get("min-index") or headers.get("X-Raftreg-Min-Index", "")
    if minimum or "index" in query:
        return _read_options(context, query, minimum)
    return _lasting_options(query)


@lru_cache(maxsize=512)
def _lasting_options(query: HttpQuery) -> Options:
    """The options of a query that names no index, so that they are the same each time it comes."""
    return _read_options(None, query, "")


def _read_options(context: ApiContext | None, query: HttpQuery, minimum: str) -> Options:
    wait_s = _parse_wait(query.get("wait"))
    index = _parse_index(query.get("index"), "Invalid index")
    mode = _parse_mode(query)
    if index and context is not None:
        # So that clients that started together do not stay together.
        wait_s += context.clock.uniform(0.0, wait_s / 16)
    options = ReadOptions(
        mode=mode,
        index=index,
        wait_s=wait_s if index else 0.0,
        max_stale_s=_parse_max_stale(query.get("max_stale")),
        min_index=_parse_index(minimum, "Invalid min-index"),
    )
    return Options(options, query.get("dc"), "pretty" in query, "cached" in query, query.get("filter"))


def _parse_mode(query: HttpQuery) -> Literal["default", "consistent", "stale"]:
    if "consistent" in query:
        for other in ("stale", "cached"):
            if other in query:
                raise Refused(400, _MODES_CONFLICT.format(other))
        return "consistent"
    return "stale" if "stale" in query else "default"


def _parse_wait(text: str) -> float:
    """Seconds to wait at most. Nothing, zero and less mean the default, as clients expect."""
    if not text:
        return WAIT_S_DEFAULT
    try:
        wait_s = parse_duration(text)
    except ValueError:
        raise Refused(400, "Invalid wait time") from None
    if wait_s <= 0:
        return WAIT_S_DEFAULT
    return min(wait_s, WAIT_S_MAX)


def _check_cache_control(text: str) -> None:
    """Refused (400) for an age that is no number. The ages themselves mean nothing here: see `cached`."""
    for part in text.split(","):
        name, given, value = part.strip().partition("=")
        if given and name in ("max-age", "stale-if-error") and not _INTEGER.fullmatch(value):
            raise Refused(400, "Invalid Cache-Control header.")


def _parse_index(text: str, error: str) -> int:
    if not text:
        return 0
    number = _unsigned(text)
    if number is None or number > UINT64_MAX:
        raise Refused(400, error)
    return number


def _parse_max_stale(text: str) -> float | None:
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        raise Refused(400, f'Invalid max_stale value "{text}"') from None


def parse_unsigned(text: str) -> int:
    """An unsigned 64 bit number; Refused (500) in the words of Go's strconv, which is what clients see today."""
    number = _unsigned(text)
    if number is None:
        raise Refused(500, f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if number > UINT64_MAX:
        raise Refused(500, f'strconv.ParseUint: parsing "{text}": value out of range')
    return number


def _unsigned(text: str) -> int | None:
    """The number that digits stand for, at least exact up to 64 bit; None for anything else."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0")
    return int(digits[:21] or "0")


def check_datacenter(context: ApiContext, named: str) -> None:
    """Refused (500) if another datacenter than the own one was named: this cluster knows no other."""
    if named and named != context.datacenter:
        raise Refused(500, "No path to datacenter")


async def read(context: ApiContext, options: Options, query: Query[T]) -> Answer[T]:
    """Read through the registry, with the consistency and the patience that the request asked for."""
    check_datacenter(context, options.datacenter)
    return await context.registry.read(query, options.read)


async def read_cached(
    context: ApiContext, options: Options, query: Query[T], variant: Hashable = ()
) -> tuple[Answer[T], dict[str, str]]:
    """Read, with `?cached` from the local copy once the same was asked before; and the headers that tell.

    `variant` holds what beside the query makes it another question.
    """
    if not options.cached:
        return await read(context, options, query), {}
    if not context.cached_reads.seen_before((query, variant, options.filter)):
        return await read(context, options, query), {"X-Cache": "MISS"}
    local = replace(options, read=replace(options.read, mode="stale"))
    answer = await read(context, local, query)
    return answer, {"X-Cache": "HIT", "Age": str(answer.last_contact_ms // 1000)}


async def write(context: ApiContext, request: Request, command: Command) -> Ok:
    """Write through the registry. A request with an Idempotency-Key that is repeated is done once."""
    check_datacenter(context, request.query.get("dc"))
    return await write_in_body_datacenter(context, request, command)


async def write_in_body_datacenter(context: ApiContext, request: Request, command: Command) -> Ok:
    """The same for requests that name the datacenter in their body, and whose `?dc` is ignored as in Consul."""
    return await context.registry.write(command, request_id=request_id(request, command))


def request_id(request: Request, command: Command) -> bytes | None:
    """16 bytes that are the same for the same request under the same Idempotency-Key; None without that header."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    digest = hashlib.sha256()
    for part in (key, request.method, request.raw_path, request.query.encode(), type(command).__name__):
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    digest.update(request.body)
    return digest.digest()[:16]
