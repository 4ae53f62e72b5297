"""HTTP and HTTPS: the status of the answer is the status of the check."""

import asyncio
import base64
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from raftreg.addresses import Address
from raftreg.checks.dialing import DialTimedOut, ProbeFailed, dial
from raftreg.checks.http1 import Exchange, ResponseReader
from raftreg.checks.names import Resolver
from raftreg.checks.outcome import Outcome, output_max
from raftreg.checks.tls import TLSContexts, tls_text
from raftreg.model import Probe, Status

TIMEOUT_S: Final = 10.0
REDIRECTS_MAX: Final = 10
USER_AGENT: Final = "Consul Health Check"  # applications know the probes of a registry by it
ACCEPT: Final = "text/plain, text/*, */*"
_PORTS: Final = {"http": 80, "https": 443}
_TOO_LATE: Final = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_URI_SAFE: Final = "/%:=&?~#+!$,;'@()*[]"
# What the request itself decides, whatever the definition says.
_OWN_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "trailer", "connection"})
_CREDENTIALS: Final = frozenset({"authorization", "cookie", "cookie2", "www-authenticate"})


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL means: where to connect to, and what to ask for there."""

    url: str
    is_tls: bool
    address: Address
    host: str  # as the Host header has it
    uri: str
    credentials: str  # of a user that the URL names, for an Authorization header


def parse_target(url: str) -> Target:
    """The target of an absolute URL; ProbeFailed says what is wrong with it."""
    try:
        _check_url(url)
        parts = urlsplit(url)
        port = _port(parts.netloc, parts)
    except ValueError as error:
        raise BadDefinition(f"parse {quoted(url)}: {error}") from None
    if parts.scheme not in _PORTS:
        raise ProbeFailed(f'unsupported protocol scheme "{parts.scheme}"')
    if not parts.hostname:
        raise ProbeFailed("http: no Host in request URL")
    credentials = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials = "Basic " + base64.b64encode(pair.encode()).decode()
    uri = quote(parts.path or "/", safe=_URI_SAFE) + (
        f"?{quote(parts.query, safe=_URI_SAFE)}" if parts.query else ""
    )
    return Target(
        url=url,
        is_tls=parts.scheme == "https",
        address=Address(parts.hostname, port or _PORTS[parts.scheme]),
        host=parts.netloc.rpartition("@")[2],
        uri=uri,
        credentials=credentials,
    )


def _check_url(url: str) -> None:
    """ValueError, in the words of Go's net/url, for what is no URL there."""
    if any(character < " " or character == "\x7f" for character in url):
        raise ValueError("net/url: invalid control character in URL")
    escape = _BAD_ESCAPE.search(url)
    if escape is not None:
        raise ValueError(f'invalid URL escape "{escape[0]}"')
    if _SCHEME.match(url) is None and ":" in url.partition("/")[0]:
        raise ValueError("first path segment in URL cannot contain colon")


def _port(netloc: str, parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        host = netloc.rpartition("@")[2]
        raise ValueError(f'invalid port ":{host.rpartition(":")[2]}" after host') from None


def quoted(text: str) -> str:
    """Text as Go's %q shows it, as far as that is what JSON does."""
    return json.dumps(text, ensure_ascii=False)


class BadDefinition(ProbeFailed):
    """No request can be made of the definition; the message is the whole output."""


class TooManyRedirects(ProbeFailed):
    """It went on and on; `location` is where it would have gone next."""

    def __init__(self, location: str) -> None:
        super().__init__(f"stopped after {REDIRECTS_MAX} redirects")
        self.location = location


class HTTPProbe:
    """Makes one request, follows redirects, and reads the answer, all within the timeout."""

    def __init__(self, probe: Probe, resolver: Resolver, contexts: TLSContexts) -> None:
        options = probe.options or {}
        self._url = str(options.get("HTTP", ""))
        self._method = str(options.get("Method", "")) or "GET"
        self._headers = _headers(options.get("Header"))
        self._body = str(options.get("Body", "")).encode("utf-8", "surrogateescape")
        self._follows = not options.get("DisableRedirects")
        self._skip_verify = bool(options.get("TLSSkipVerify"))
        self._server_name = str(options.get("TLSServerName", ""))
        self._timeout_s = probe.timeout_s or TIMEOUT_S
        self._output_max = output_max(options.get("OutputMaxSize"))
        self._resolver = resolver
        self._contexts = contexts
        self._deadline = 0.0  # of the loop's clock

    async def __call__(self) -> Outcome:
        """Passing for 2xx, warning for 429, critical for all else, with the answer as output."""
        self._deadline = asyncio.get_running_loop().time() + self._timeout_s
        try:
            answer = await self._ask()
        except BadDefinition:
            raise
        except TooManyRedirects as error:
            raise ProbeFailed(f"Get {quoted(error.location)}: {error}") from None
        except ProbeFailed as error:
            raise ProbeFailed(f"{self._method.capitalize()} {quoted(self._url)}: {error}") from None
        reason = f"{answer.status} {answer.reason}".rstrip()
        output = f"HTTP {self._method} {self._url}: {reason} Output: {answer.body.text}"
        return Outcome(_status_of(answer.status), output)

    async def _ask(self) -> ResponseReader:
        """The answer at the end of all redirects."""
        target, method, body = parse_target(self._url), self._method, self._body
        headers = self._headers
        for _ in range(REDIRECTS_MAX):
            answer = await self._exchange(target, method, headers, body)
            if not self._follows or answer.location is None or answer.status not in (301, 302, 303, 307, 308):
                return answer
            before = target
            target = parse_target(urljoin(target.url, answer.location))
            if answer.status in (301, 302, 303):
                method, body = ("HEAD" if method == "HEAD" else "GET"), b""
            if target.address.host != before.address.host:
                headers = {name: value for name, value in headers.items() if name.lower() not in _CREDENTIALS}
            if target.host != before.host:
                headers = {name: value for name, value in headers.items() if name.lower() != "host"}
        raise TooManyRedirects(answer.location or "")

    async def _exchange(
        self, target: Target, method: str, headers: Mapping[str, list[str]], body: bytes
    ) -> ResponseReader:
        """One request and its answer, on a connection of its own: a kept one proves less, and may just be closing."""
        loop = asyncio.get_running_loop()
        request = _request(target, method, headers, body)
        reader = ResponseReader(head_only=method == "HEAD", output_max=self._output_max)
        done: asyncio.Future[None] = loop.create_future()
        context = await self._contexts.get(skip_verify=self._skip_verify) if target.is_tls else None
        name = (self._server_name or target.address.host) if target.is_tls else None

        async def connect(address: str) -> asyncio.Transport:
            transport, _ = await loop.create_connection(
                lambda: Exchange(request, reader, done),
                address,
                target.address.port,
                ssl=context,
                server_hostname=name,
            )
            return transport

        transport = None
        try:
            left_s = self._deadline - loop.time()
            transport = await dial(self._resolver, "tcp", target.address, left_s, connect)
            async with asyncio.timeout_at(self._deadline):
                await done
        except TimeoutError:
            if not reader.has_head:
                raise ProbeFailed(_TOO_LATE) from None
        except DialTimedOut:
            raise ProbeFailed(_TOO_LATE) from None
        except ssl.SSLError as error:
            raise ProbeFailed(tls_text(error, name or "")) from None
        finally:
            if transport is not None:
                transport.abort()
        return reader


def _headers(given: object) -> dict[str, list[str]]:
    if not isinstance(given, Mapping):
        return {}
    return {str(name): [str(value) for value in values] for name, values in given.items() if values}


def _request(target: Target, method: str, headers: Mapping[str, list[str]], body: bytes) -> bytes:
    """The bytes of a request. ProbeFailed if the definition holds what must not be in one."""
    if not _TOKEN.fullmatch(method):
        raise BadDefinition(f"net/http: invalid method {quoted(method)}")
    given = {name.lower(): values for name, values in headers.items()}
    lines = [
        f"{method} {target.uri} HTTP/1.1",
        f"Host: {_checked('Host', given.get('host', [target.host])[0])}",
    ]
    if "user-agent" not in given:
        lines.append(f"User-Agent: {USER_AGENT}")
    if "accept" not in given:
        lines.append(f"Accept: {ACCEPT}")
    if target.credentials and "authorization" not in given:
        lines.append(f"Authorization: {target.credentials}")
    for name, values in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ProbeFailed(f"net/http: invalid header field name {quoted(name)}")
        if name.lower() not in _OWN_HEADERS:
            lines.extend(f"{name}: {_checked(name, value)}" for value in values)
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def _checked(name: str, value: str) -> str:
    if any(character < " " and character != "\t" for character in value) or "\x7f" in value:
        raise ProbeFailed(f"net/http: invalid header field value {quoted(value)} for key {name}")
    return value.strip()


def _status_of(code: int) -> Status:
    if 200 <= code <= 299:
        return "passing"
    return "warning" if code == 429 else "critical"
