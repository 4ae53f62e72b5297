"""Targets on loopback that answer as a test says, and what it takes to probe them once."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from raftreg.checks.dialing import ProbeFailed
from raftreg.checks.kinds import Kinds, ProbeSettings
from raftreg.checks.outcome import Outcome
from raftreg.model import Probe

# A self-signed certificate for localhost and target.example, with its key: both worthless outside these tests.
CERTIFICATE = Path(__file__).parent / "localhost.pem"


class Target:
    """Answers each connection with bytes that were given, and keeps what it was sent."""

    def __init__(self, *answers: bytes, stays_open: bool = False, impatient: bool = False) -> None:
        """The last answer is given again and again.

        `stays_open`: it never closes a connection by itself; `impatient`: it answers the first byte.
        """
        self._impatient = impatient
        self._answers = list(answers)
        self._stays_open = stays_open
        self.requests: list[bytes] = []
        self.port = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.read(1) if self._impatient else await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self.requests.append(head + (await reader.readexactly(int(length)) if length else b""))
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            writer.write(answer.replace(b"PORT", str(self.port).encode()))
            if self._stays_open:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    @asynccontextmanager
    async def listening(self, *, tls: bool = False) -> AsyncIterator["Target"]:
        """Listen on a free port meanwhile."""
        context = None
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(CERTIFICATE)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    @property
    def url(self) -> str:
        """Its address for HTTP."""
        return f"http://127.0.0.1:{self.port}"


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole HTTP response."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


async def probed(
    kind: str, *, timeout_s: float = 0.0, settings: ProbeSettings | None = None, **options: Any
) -> Outcome:
    """What one probe of a check with these options finds out."""
    kinds = Kinds(settings or ProbeSettings(environ={}))
    try:
        return await kinds.make(Probe(kind, interval_s=1.0, timeout_s=timeout_s, options=options))()
    except ProbeFailed as error:
        return Outcome("critical", str(error))
    finally:
        kinds.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario, for 20 s at most."""

    async def main() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(main())
