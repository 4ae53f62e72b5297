"""One request over HTTP/2 with prior knowledge, by h2. Imported only where the extra `grpc` is installed."""

import asyncio
from typing import Protocol, cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

STREAM = 1
_UNAVAILABLE = 14
_INTERNAL = 13


class Receiver(Protocol):
    """What takes the response."""

    def add(self, data: bytes) -> None:
        """More of the body."""
        ...

    def headers(self, pairs: list[tuple[bytes, bytes]]) -> None:
        """Headers or trailers."""
        ...

    def end(self, code: int = 0, message: str = "") -> None:
        """Nothing more comes; with the code of gRPC if that is a failure."""
        ...


class Connection(asyncio.Protocol):
    """Sends the request when it is connected and hands on what comes."""

    def __init__(self, headers: list[tuple[str, str]], body: bytes, receiver: Receiver) -> None:
        self._headers = headers
        self._body = body
        self._receiver = receiver
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None)
        )
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send preface and request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of a class of their own
        self._connection.initiate_connection()
        self._connection.send_headers(STREAM, self._headers)
        self._connection.send_data(STREAM, self._body, end_stream=True)
        self._transport.write(self._connection.data_to_send())

    def data_received(self, data: bytes) -> None:
        """More of the response, or of what holds the connection together."""
        assert self._transport is not None
        if data.startswith(b"HTTP/1."):
            # Read as the beginning of a frame it would be one of megabytes, for which h2 would wait.
            self._receiver.end(_UNAVAILABLE, "the server does not speak HTTP/2")
            self._transport.abort()
            return
        try:
            events = self._connection.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self._receiver.end(_UNAVAILABLE, f"the server does not speak HTTP/2: {error}")
            self._transport.abort()
            return
        for event in events:
            self._take(event)
        waiting = self._connection.data_to_send()
        if waiting:
            self._transport.write(waiting)

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                self._receiver.headers([(bytes(name), bytes(value)) for name, value in event.headers or ()])
            case h2.events.DataReceived():
                self._receiver.add(event.data or b"")
            case h2.events.StreamEnded():
                self._receiver.end()
            case h2.events.StreamReset():
                self._receiver.end(
                    _INTERNAL, f"stream terminated by RST_STREAM with error code: {event.error_code}"
                )
            case h2.events.ConnectionTerminated():
                self._receiver.end(_UNAVAILABLE, "the server closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        self._receiver.end(_UNAVAILABLE, "transport is closing")
