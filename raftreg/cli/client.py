"""A small synchronous client of the HTTP API, for commands that ask once and exit."""

import http.client
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from raftreg.addresses import Address, parse_address
from raftreg.errors import RaftregError

DEFAULT_ADDRESS = "127.0.0.1:8500"
CONNECT_TIMEOUT_S = 5.0
# Beyond the 10 s for which a node tries a write or a read by default, so that its own words are heard.
ANSWER_TIMEOUT_S = 30.0


class CommandFailed(RaftregError):
    """The command could not be done; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node said. `headers` by their names in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> object:
        """The body as JSON. CommandFailed if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise CommandFailed(f"the answer is no JSON: {self.body[:80]!r}") from None

    def table(self, *names: str) -> dict[str, Any]:
        """The body as a JSON object that has at least these names. CommandFailed if it is none."""
        table = self.json()
        if not isinstance(table, dict) or not table.keys() >= set(names):
            raise self._is_not_ours()
        return table

    def rows(self) -> list[dict[str, Any]]:
        """The body as a JSON array of objects. CommandFailed if it is none."""
        rows = self.json()
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._is_not_ours()
        return rows

    def texts(self) -> list[str]:
        """The body as a JSON array of texts. CommandFailed if it is none."""
        texts = self.json()
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise self._is_not_ours()
        return texts

    def _is_not_ours(self) -> CommandFailed:
        return CommandFailed(f"the answer is not that of a raftreg node: {self.body[:80]!r}")


def address_from(text: str | None) -> Address:
    """The node to ask: the text given, else what the environment names, else 127.0.0.1:8500."""
    environ = os.environ
    chosen = text or environ.get("RAFTREG_HTTP_ADDR") or environ.get("CONSUL_HTTP_ADDR") or DEFAULT_ADDRESS
    scheme, _, rest = chosen.rpartition("://")
    if scheme not in ("", "http"):
        raise CommandFailed(f'"{chosen}": only http:// is spoken')
    try:
        netloc = urlsplit(f"//{rest}").netloc
        has_port = ":" in netloc.rpartition("]")[2]
        return parse_address(netloc if has_port else f"{netloc}:80")
    except ValueError as error:
        raise CommandFailed(str(error)) from None


class Client:
    """Asks one node, one request at a time."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def call(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, object] | None = None,
        body: bytes = b"",
        *,
        accept: tuple[int, ...] = (200,),
    ) -> Answer:
        """One request. CommandFailed when nobody answers, or with a status that is not in `accept`.

        Parameters with the value None or False are left out, those with True are given without a value.
        """
        query = "&".join(
            key if value is True else urlencode({key: value})
            for key, value in (parameters or {}).items()
            if value is not None and value is not False
        )
        target = quote(path, safe="/", errors="surrogateescape") + (f"?{query}" if query else "")
        answer = self._exchange(method, target, body)
        if answer.status == 301:
            raise CommandFailed(f"{path} leads elsewhere: names do not begin with / nor hold //, /./ or /../")
        if answer.status not in accept:
            text = answer.body.decode("utf-8", "replace").strip().splitlines()
            hint = "; raftreg status shows why" if text[:1] == ["No cluster leader"] else ""
            raise CommandFailed(
                f"{self.address} answers {answer.status}: {text[0] if text else 'no text'}{hint}"
            )
        return answer

    def get(self, path: str, parameters: Mapping[str, object] | None = None) -> Answer:
        """A GET."""
        return self.call("GET", path, parameters)

    def put(self, path: str, document: object, parameters: Mapping[str, object] | None = None) -> Answer:
        """A PUT of JSON."""
        return self.call("PUT", path, parameters, json.dumps(document).encode())

    def post(self, path: str, document: object) -> Answer:
        """A POST of JSON."""
        return self.call("POST", path, None, json.dumps(document).encode())

    def _exchange(self, method: str, target: str, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(*self.address, timeout=CONNECT_TIMEOUT_S)
        try:
            connection.connect()
            connection.sock.settimeout(ANSWER_TIMEOUT_S)
            connection.request(method, target, body=body)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, response.read(), headers)
        except socket.gaierror as error:
            raise CommandFailed(
                f"cannot reach http://{self.address}: the name is not known ({error.strerror})"
            ) from None
        except ConnectionRefusedError:
            raise CommandFailed(
                f"cannot reach http://{self.address}: is a node running? start one with raftreg dev"
            ) from None
        except TimeoutError:
            raise CommandFailed(f"no answer from http://{self.address} in time; try another node") from None
        except (OSError, http.client.HTTPException) as error:
            raise CommandFailed(
                f"no proper answer from http://{self.address}: {str(error) or 'it hung up'}; is it an HTTP port?"
            ) from None
        finally:
            connection.close()
