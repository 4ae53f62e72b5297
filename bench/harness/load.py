"""Closed loops: one client after the other (latency), or many at once (throughput, by wrk where it is installed)."""

import asyncio
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.harness.client import BlockingClient, Connection
from bench.harness.dialects import Call
from bench.harness.stats import SHARES, curve

_OFFSETS: Iterator[int] = itertools.count(1_000_000, 1_000_000)
_SCRIPT = """
local n, keys = %(offset)d, %(keys)d
local method, path, body = %(method)s, %(path)s, %(body)s
local varies = path:find("{", 1, true) or body:find("{[nkbc]}")
local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function base64(text)
  return (text:gsub("...", function(three)
    local a, b, c = three:byte(1, 3)
    local number = a * 65536 + b * 256 + c
    local out = ""
    for shift = 18, 0, -6 do
      local place = math.floor(number / 2 ^ shift) %% 64 + 1
      out = out .. alphabet:sub(place, place)
    end
    return out
  end))
end
local fixed
function request()
  if not varies then
    fixed = fixed or wrk.format(method, path, {}, body)
    return fixed
  end
  n = n + 1
  local texts = {n = string.format("%%09d", n %% 1000000000), k = string.format("%%09d", n %% keys)}
  texts.b = body:find("{b}", 1, true) and base64(texts.n)
  texts.c = body:find("{c}", 1, true) and base64(texts.k)
  local function fill(text) return (text:gsub("{([nkbc])}", texts)) end
  return wrk.format(method, fill(path), {}, fill(body))
end
function done(summary, latency, requests)
  local curve = {}
  for _, share in ipairs({%(shares)s}) do curve[#curve + 1] = latency:percentile(share) end
  local errors = summary.errors
  io.write(string.format('\\n{"requests":%%d,"us":%%d,"bad":%%d,"curve_us":[%%s]}\\n', summary.requests,
    summary.duration, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    table.concat(curve, ",")))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What a closed loop came to. `curve` is of the latency in seconds; `bad` counts answers other than 2xx."""

    rate: float
    requests: int
    bad: int
    curve: tuple[tuple[float, float], ...]

    def at(self, share: float) -> float:
        """The latency at a share, s."""
        return next(value for known, value in self.curve if known >= share)


def sequential(address: tuple[str, int], call: Call, count: int) -> list[float]:
    """Seconds that each request took, one after the other; the first tenth warms up and is not counted."""
    seconds = []
    offset = next(_OFFSETS)
    with BlockingClient(address) as client:
        for number in range(count + count // 10):
            request = call.filled(offset + number)
            began = time.perf_counter()
            status, body = client.send(request)
            seconds.append(time.perf_counter() - began)
            if status != 200:
                raise OSError(f"{request.method} {request.path}: {status} {body[:200]!r}")
    return seconds[count // 10 :]


def closed_loop(
    address: tuple[str, int], call: Call, *, clients: int, seconds: float, keys: int = 1000
) -> Load:
    """Many clients with one request in flight each."""
    if shutil.which("wrk"):
        return _by_wrk(address, call, clients, seconds, keys)
    return asyncio.run(_by_asyncio(address, call, clients, seconds, keys))


def generator() -> str:
    """What makes the load of many clients."""
    return "wrk" if shutil.which("wrk") else "python (install wrk: it takes far less from the servers)"


def _by_wrk(address: tuple[str, int], call: Call, clients: int, seconds: float, keys: int) -> Load:
    values = {
        "offset": next(_OFFSETS),
        "keys": keys,
        "method": json.dumps(call.method),
        "path": json.dumps(call.path),
        "body": json.dumps(call.body),
        "shares": ",".join(f"{min(share * 100, 99.9999):g}" for share in SHARES),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT % values)
        script.flush()
        url = f"http://{address[0]}:{address[1]}/"
        command = [
            "wrk",
            "-t1",
            f"-c{clients}",
            f"-d{round(seconds)}s",
            "--timeout",
            "20s",
            "-s",
            script.name,
            url,
        ]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(said.strip().splitlines()[-1])
    points = tuple((share, us / 1e6) for share, us in zip(SHARES, found["curve_us"], strict=True))
    return Load(found["requests"] / found["us"] * 1e6, found["requests"], found["bad"], points)


async def _by_asyncio(address: tuple[str, int], call: Call, clients: int, seconds: float, keys: int) -> Load:
    numbers = itertools.count(next(_OFFSETS))
    took: list[float] = []
    bad = 0
    began = time.perf_counter()

    async def client() -> None:
        nonlocal bad
        async with Connection(address) as connection:
            while (start := time.perf_counter()) - began < seconds:
                status, _, _ = await connection.send(call.filled(next(numbers), keys))
                took.append(time.perf_counter() - start)
                bad += status != 200

    await asyncio.gather(*(client() for _ in range(clients)))
    return Load(len(took) / (time.perf_counter() - began), len(took), bad, tuple(curve(took)))


def fill(address: tuple[str, int], calls: Iterator[Call], clients: int = 16) -> None:
    """Send each of the requests once, a few at a time. OSError for an answer other than 200."""

    async def client() -> None:
        async with Connection(address) as connection:
            for call in calls:
                status, _, body = await connection.send(call)
                if status != 200:
                    raise OSError(f"{call.method} {call.path}: {status} {body[:200]!r}")

    async def everybody() -> None:
        await asyncio.gather(*(client() for _ in range(clients)))

    asyncio.run(everybody())
