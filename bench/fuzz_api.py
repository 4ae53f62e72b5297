"""Requests at random against every route of a running node, for a time.

    python -m bench.fuzz_api --base http://127.0.0.1:8500 --seconds 300 --pid PID --log FILE

Fails (exit code 1) on an answer that a bug gives (`internal error`, no answer at all, a status that no client knows),
on a traceback in the log, and when the process grew by more than --growth MiB between the first third and the end.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from pathlib import Path

import aiohttp
from yarl import URL

from bench.requests_at_random import Made, Requests

WORKERS = 8
ANSWER_S = 40.0
EXPECTED = frozenset({200, 301, 400, 401, 404, 405, 408, 409, 413, 415, 417, 429, 500, 501, 503})
_SHOWN_MAX = 20


class Findings:
    """What came back."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.texts: Counter[str] = Counter()  # of 500s
        self.failures: list[str] = []

    def take(self, made: Made, status: int, body: bytes) -> None:
        """One answer."""
        self.statuses[status] += 1
        text = body[:200].decode("utf-8", "replace")
        if status == 500:
            self.texts[text.split('"')[0].split("'")[0][:60]] += 1
        if status not in EXPECTED or "internal error" in text or (status == 500 and not text):
            self.fail(made, f"{status} {text}")

    def fail(self, made: Made, what: str) -> None:
        """What should not have come back."""
        self.failures.append(f"{made.method} {made.target} {made.headers} {made.body[:300]!r}\n    -> {what}")


async def send(session: aiohttp.ClientSession, base: str, made: Made, findings: Findings) -> None:
    """One request."""
    url = URL(base + made.target, encoded=True)
    try:
        async with session.request(
            made.method, url, data=made.body or None, headers=made.headers, allow_redirects=False
        ) as response:
            findings.take(made, response.status, await response.read())
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        findings.fail(made, repr(error))


async def run(base: str, seconds: float, seed: int, pid: int | None) -> tuple[Findings, list[float]]:
    """Several clients at once, each with a seed of its own, until the time is over; memory over time."""
    findings, memory = Findings(), [resident_mib(pid)]
    end = time.monotonic() + seconds

    async def worker(session: aiohttp.ClientSession, number: int) -> None:
        requests = Requests(seed * 1000 + number)
        while time.monotonic() < end:
            await send(session, base, requests.one(), findings)

    async def watch() -> None:
        while time.monotonic() < end:
            await asyncio.sleep(min(5.0, seconds / 6))
            memory.append(resident_mib(pid))

    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        await asyncio.gather(watch(), *(worker(session, number) for number in range(WORKERS)))
    return findings, memory


def resident_mib(pid: int | None) -> float:
    """Memory of a process; 0 without one."""
    if pid is None:
        return 0.0
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", default="http://127.0.0.1:8500")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pid", type=int, help="the node's process, to watch its memory")
    parser.add_argument("--log", type=Path, help="the node's log, to look for tracebacks")
    parser.add_argument("--growth", type=float, default=30.0, help="MiB that the process may grow")
    options = parser.parse_args()
    findings, memory = asyncio.run(run(options.base, options.seconds, options.seed, options.pid))
    print(f"{sum(findings.statuses.values())} requests: {dict(sorted(findings.statuses.items()))}")
    for text, count in findings.texts.most_common():
        print(f"  500 x {count}: {text}")
    print("memory, MiB:", " ".join(f"{value:.0f}" for value in memory))
    problems = findings.failures[:_SHOWN_MAX]
    if memory[-1] - memory[len(memory) // 3] > options.growth:
        problems.append(f"memory grew from {memory[len(memory) // 3]:.0f} to {memory[-1]:.0f} MiB")
    if options.log is not None and "Traceback" in options.log.read_text("utf-8", "replace"):
        problems.append(f"there is a traceback in {options.log}")
    for problem in problems:
        print("FAILED:", problem)
    print(f"{len(findings.failures)} failures")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
