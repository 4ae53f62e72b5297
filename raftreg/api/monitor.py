"""/v1/agent/monitor: what this node logs, as it happens."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.errors import Refused
from raftreg.logs import Tap

LINES_MAX: Final = 512  # that wait for a slow client; further ones are counted and left out
_LEVELS: Final = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "err": "error",
    "error": "error",
}


async def get(context: ApiContext, request: Request) -> Response:
    """GET /v1/agent/monitor: lines from `loglevel` up (info), with `logjson` as objects, until the client goes."""
    given = request.query.get("loglevel")
    level = _LEVELS.get(given.lower()) if given else "info"
    if level is None:
        raise Refused(400, f"Bad request: Unknown log level: {given}")
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return Response(200, headers, stream=_lines(level, as_json="logjson" in request.query))


async def _lines(level: str, *, as_json: bool) -> AsyncGenerator[bytes]:
    """Line after line. The log is listened to from the first step on, which tells with an empty piece that it is."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[str] = asyncio.Queue(LINES_MAX)
    dropped = 0

    def keep(line: str) -> None:
        nonlocal dropped
        if waiting.full():
            dropped += 1
        else:
            waiting.put_nowait(line)

    def take(line: str) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(keep, line)

    with Tap(level, take, as_json=as_json):
        yield b""
        while True:
            line = await waiting.get()
            if dropped:
                yield f"[{dropped} lines were dropped: the client is too slow]\n".encode()
                dropped = 0
            yield line.encode("utf-8", "replace") + b"\n"
