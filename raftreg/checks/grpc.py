"""gRPC: the standard health protocol, grpc.health.v1.Health/Check, over an HTTP/2 connection of its own.

One unary call of two messages with one field each needs neither a gRPC library nor protobuf, only HTTP/2, which h2
speaks (the extra `grpc`). Spec: https://github.com/grpc/grpc/blob/master/doc/health-checking.md and PROTOCOL-HTTP2.md.
"""

import asyncio
import importlib
import ssl
from importlib.util import find_spec
from types import ModuleType
from typing import Final
from urllib.parse import unquote

from raftreg.addresses import Address
from raftreg.checks.dialing import DialTimedOut, ProbeFailed, dial, split_target
from raftreg.checks.names import Resolver
from raftreg.checks.outcome import Outcome
from raftreg.checks.tls import TLSContexts, tls_text
from raftreg.model import Probe

MISSING: Final = "gRPC checks need HTTP/2: install raftreg with its extra grpc (pip install 'raftreg[grpc]')"
TIMEOUT_S: Final = 10.0
_HTTP2: Final = "raftreg.checks.http2"
MESSAGE_MAX: Final = 64 * 1024  # bytes of an answer; the real one has 2
_SERVING: Final = 1
_CODES: Final = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
    "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
    "Internal", "Unavailable", "DataLoss", "Unauthenticated",
)  # fmt: skip
# The code that a call without a grpc-status counts as, by the HTTP status: doc/http-grpc-status-mapping.md.
_CODES_OF_HTTP: Final = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


def is_available() -> bool:
    """Whether the library for HTTP/2 is installed."""
    return find_spec("h2") is not None


class GRPCProbe:
    """Asks a server, or one service of it (`host:port/service`), whether it is serving."""

    _http2: ModuleType | None = None  # loaded for the first probe

    def __init__(self, probe: Probe, resolver: Resolver, contexts: TLSContexts) -> None:
        options = probe.options or {}
        self._text = str(options.get("GRPC", ""))
        self._uses_tls = bool(options.get("GRPCUseTLS"))
        self._skip_verify = bool(options.get("TLSSkipVerify"))
        self._server_name = str(options.get("TLSServerName", ""))
        self._timeout_s = probe.timeout_s or TIMEOUT_S
        self._resolver = resolver
        self._contexts = contexts

    async def __call__(self) -> Outcome:
        """Passing if it says SERVING."""
        if not is_available():
            raise ProbeFailed(MISSING)
        place, _, service = self._text.partition("/")
        target = split_target("tcp", place)
        try:
            async with asyncio.timeout(self._timeout_s):
                call = await self._call(target, place, service)
        except TimeoutError:
            raise _failed(4, "context deadline exceeded") from None
        if call.code:
            raise _failed(call.code, call.message)
        if _status_in(bytes(call.data)) != _SERVING:
            raise ProbeFailed("gRPC application didn't report service healthy")
        return Outcome("passing", f"gRPC check {self._text}: success")

    async def _call(self, target: Address, authority: str, service: str) -> "Call":
        # In a thread, because reading the library takes long when it is needed for the first time.
        http2 = GRPCProbe._http2
        if http2 is None:
            http2 = GRPCProbe._http2 = await asyncio.to_thread(importlib.import_module, _HTTP2)
        loop = asyncio.get_running_loop()
        context = await self._contexts.get(skip_verify=self._skip_verify) if self._uses_tls else None
        name = (self._server_name or target.host) if self._uses_tls else None
        call = Call(loop.create_future())
        scheme = "https" if self._uses_tls else "http"

        async def connect(address: str) -> asyncio.Transport:
            transport, _ = await loop.create_connection(
                lambda: http2.Connection(_headers(scheme, authority), _request(service), call),
                address,
                target.port,
                ssl=context,
                server_hostname=name,
            )
            return transport

        transport = None
        try:
            transport = await dial(self._resolver, "tcp", target, self._timeout_s, connect)
            await call.done
        except DialTimedOut:
            raise TimeoutError from None
        except ssl.SSLError as error:
            text = f"authentication handshake failed: {tls_text(error, name or '')}"
            raise _unavailable(text) from None
        except ProbeFailed as error:
            raise _unavailable(f"Error while dialing {error}") from None
        finally:
            if transport is not None:
                transport.abort()
        return call


class Call:
    """What became of one call: the bytes of the answer, the code and the message of its end."""

    def __init__(self, done: "asyncio.Future[None]") -> None:
        self.done = done
        self.data = bytearray()
        self.code = 0
        self.message = ""

    def add(self, data: bytes) -> None:
        """More of the answer."""
        self.data += data
        if len(self.data) > MESSAGE_MAX:
            self.end(8, f"received message larger than max ({len(self.data)} vs. {MESSAGE_MAX})")

    def headers(self, pairs: "list[tuple[bytes, bytes]]") -> None:
        """Headers or trailers of the response."""
        found = dict(pairs)
        code = found.get(b"grpc-status", b"")
        if code.isdigit():
            self.code = int(code)
            self.message = unquote(found.get(b"grpc-message", b"").decode("latin-1"))
            if self.code and not self.done.done():
                self.done.set_result(None)
            return
        status = found.get(b":status", b"200")
        if status != b"200":
            code_number = _CODES_OF_HTTP.get(int(status), 2) if status.isdigit() else 2
            self.end(code_number, f"unexpected HTTP status code received from server: {status.decode()}")

    def end(self, code: int = 0, message: str = "") -> None:
        """Nothing more comes."""
        if not self.done.done():
            self.code, self.message = (code, message) if code else (self.code, self.message)
            self.done.set_result(None)


def _headers(scheme: str, authority: str) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", scheme),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "raftreg"),
    ]


def _request(service: str) -> bytes:
    """HealthCheckRequest with the name of a service, behind the prefix of a gRPC message."""
    name = service.encode("utf-8", "surrogateescape")
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\x00" + len(message).to_bytes(4) + message


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _status_in(data: bytes) -> int:
    """The field `status` of the HealthCheckResponse in a gRPC message; 0 (UNKNOWN) if it is not there."""
    message = data[5 : 5 + int.from_bytes(data[1:5])] if len(data) >= 5 and data[0] == 0 else b""
    return message[1] if len(message) >= 2 and message[0] == 0x08 and message[1] < 0x80 else 0


def _failed(code: int, message: str) -> ProbeFailed:
    name = _CODES[code] if code < len(_CODES) else f"Code({code})"
    return ProbeFailed(f"rpc error: code = {name} desc = {message}")


def _unavailable(text: str) -> ProbeFailed:
    return _failed(14, f'connection error: desc = "transport: {text}"')
