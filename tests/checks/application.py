"""An application with a health endpoint, as the services of users have one; it runs in a thread of the test."""

import http.server
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Application(http.server.ThreadingHTTPServer):
    """Answers every path with the status that is set, and counts."""

    status = 200

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked: Counter[str] = Counter()  # by path
        self.times: defaultdict[str, list[float]] = defaultdict(
            list
        )  # of requests by path, on time.monotonic


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Application

    def do_GET(self) -> None:
        """Answer as the application is."""
        self.server.asked[self.path] += 1
        self.server.times[self.path].append(time.monotonic())
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(f"number {self.server.asked[self.path]}".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing to say."""


@contextmanager
def application() -> Iterator[Application]:
    """An application on a free port."""
    with Application(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()
