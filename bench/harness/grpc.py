"""etcd over gRPC, its own protocol: closed loops by h2load (nghttp2), which speaks HTTP/2 and sends one message.

A client in Python would be the bottleneck long before etcd is. h2load sends the same bytes again and again, so a PUT
stores the same value under the same key, a revision each; etcd writes as much as for different ones. It knows nothing
of gRPC's own status, so what it counted is held against etcd's revision and the size of the answers.
"""

import json
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.harness.dialects import Call
from bench.harness.load import Load
from bench.harness.stats import curve
from bench.harness.targets import ask

PROGRAM = "h2load"
PUT, RANGE = "/etcdserverpb.KV/Put", "/etcdserverpb.KV/Range"
HEADERS = ("content-type: application/grpc", "te: trailers")


@dataclass(frozen=True, slots=True)
class Message:
    """A request of etcd's KV service. `answer_bytes`: an answer that did what was asked has at least so many."""

    path: str
    fields: bytes
    answer_bytes: int


def put(size: int = 64) -> Message:
    """The key and the size of value that the other dialects put."""
    return Message(PUT, _text(1, b"key/00/000000001") + _text(2, b"x" * size), 5)


def get(*, stale: bool) -> Message:
    """What `put` stored."""
    return Message(RANGE, _text(1, b"key/00/000000001") + (b"\x38\x01" if stale else b""), 5 + 64)


def find(prefix: bytes, *, stale: bool, answer_bytes: int) -> Message:
    """All keys that begin like this."""
    end = prefix[:-1] + bytes([prefix[-1] + 1])
    fields = _text(1, prefix) + _text(2, end) + (b"\x38\x01" if stale else b"")
    return Message(RANGE, fields, answer_bytes)


def _text(field: int, value: bytes) -> bytes:
    """A field of bytes, at most 127, as protocol buffers write it."""
    assert len(value) < 128
    return bytes([field << 3 | 2, len(value)]) + value


def is_there() -> bool:
    """Whether it can be measured."""
    return shutil.which(PROGRAM) is not None


def closed_loop(address: tuple[str, int], message: Message, *, clients: int, seconds: float) -> Load:
    """Many clients, each with a connection of its own and one request in flight. OSError if etcd refused any."""
    with tempfile.TemporaryDirectory(prefix="raftreg-bench-") as folder:
        body, log = Path(folder, "body"), Path(folder, "log")
        body.write_bytes(b"\0" + struct.pack(">I", len(message.fields)) + message.fields)
        command = [PROGRAM, f"-c{clients}", "-m1", "-t1", f"-D{max(1, round(seconds))}", f"-d{body}"]
        command += [text for header in HEADERS for text in ("-H", header)]
        command += [f"--log-file={log}", f"http://{address[0]}:{address[1]}{message.path}"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = [line.split("\t") for line in log.read_text("ascii").splitlines()]
    found = read(said, [(int(status), int(us) / 1e6) for _, status, us in rows])
    answered = data_bytes(said)
    if answered < found.requests * message.answer_bytes:
        raise OSError(f"etcd refused some of {found.requests} requests to {message.path}")
    return found


def puts(address: tuple[str, int], *, clients: int, seconds: float) -> Load:
    """The same for `put`. OSError if etcd counts fewer changes than h2load counted answers."""
    before = _revision(address)
    found = closed_loop(address, put(), clients=clients, seconds=seconds)
    done = _revision(address) - before
    if done < found.requests:
        raise OSError(f"etcd did {done} of {found.requests} puts over gRPC")
    return found


def _revision(address: tuple[str, int]) -> int:
    answer = ask(address, Call("POST", "/v3/kv/range", '{"key":"YQ=="}'))
    return int(json.loads(answer)["header"]["revision"])


def read(said: str, rows: list[tuple[int, float]]) -> Load:
    """What h2load printed, and its log: status and seconds of each request."""
    rate = float(said.partition("finished in ")[2].partition(",")[2].partition(" req/s")[0])
    bad = sum(status != 200 for status, _ in rows)
    return Load(rate, len(rows), bad, tuple(curve([seconds for _, seconds in rows])))


def data_bytes(said: str) -> int:
    """The sum of all answers, without their headers, in what h2load printed."""
    traffic = said.partition("traffic: ")[2].partition("\n")[0]
    return int(traffic.partition("headers")[2].rpartition("(")[2].partition(")")[0])
