"""One HTTP request on a connection of its own, with nothing added to what the scenario says."""

import gzip
import http.client
import json
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TIMEOUT_S = 60.0
# Errors that were relayed from the leader may carry this, and a server of its own kind need not.
_RELAYED = "rpc error making call: "


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, or what it was made of."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    took_ms: float

    @property
    def text(self) -> str:
        """The body as text, unpacked, without line ends at its end and without the mark of a relayed error."""
        packed = self.headers.get("content-encoding") == "gzip"
        found = (gzip.decompress(self.body) if packed else self.body).decode("utf-8", "replace").rstrip("\n")
        while found.startswith(_RELAYED):
            found = found.removeprefix(_RELAYED)
        return found

    def json(self) -> Any:
        """The body as JSON. ValueError if it is none."""
        return json.loads(self.text)


def send(base: str, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
    """Send the request to http://HOST:PORT and read the answer. OSError if none comes."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(base).netloc, timeout=_TIMEOUT_S)
    try:
        target = "".join(letter if letter.isascii() else urllib.parse.quote(letter) for letter in path)
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if "content-length" not in {name.lower() for name in headers} and (
            body is not None or method in ("PUT", "POST")
        ):
            connection.putheader("Content-Length", str(len(body or b"")))
        _send_body(connection, body)
        response = connection.getresponse()
        content = response.read()
        found: dict[str, str] = {}
        for name, value in response.getheaders():
            key = name.lower()
            found[key] = f"{found[key]}, {value}" if key in found else value
        return Answer(response.status, found, content, (time.monotonic() - begun) * 1000)
    except http.client.HTTPException as error:
        raise ConnectionError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _send_body(connection: http.client.HTTPConnection, body: bytes | None) -> None:
    try:
        connection.endheaders(body)
    except (BrokenPipeError, ConnectionResetError) as error:
        # A server may refuse a body that is too large before it has read it; its answer is there nevertheless.
        if not body:
            raise ConnectionError(str(error)) from error
