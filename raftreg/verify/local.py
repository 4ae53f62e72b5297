"""A throw-away cluster on this machine: a process per node, whose connections to each other lead through proxies."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from raftreg.addresses import Address
from raftreg.chance import Stream
from raftreg.verify.membership import TRY_S, Membership, admit, expel
from raftreg.verify.ports import free_ports
from raftreg.verify.target import CUT, FILL, KILL, MEMBERS, PAUSE, SLOW, STOP, CannotAct
from raftreg.verify.wires import Pair, Wires

try:
    import resource
except ImportError:  # pragma: no cover - not a Unix
    resource = None  # type: ignore[assignment]

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
SNAPSHOT_ENTRIES = 2000  # few, so that snapshots happen in a short run
SPARE = "spare"  # the greater of two names dials, so that its connections lead through the proxies
HAS_QUOTA = hasattr(resource, "prlimit")


class Process:
    """One node; it runs, or it does not."""

    def __init__(self, name: str, folder: Path, arguments: list[str], http: Address) -> None:
        self.name, self.data, self.http = name, folder / name, http
        self.log = folder / f"{name}.log"
        self._arguments = ["--node", name, "--data-dir", str(self.data), "--http", str(http), *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, if it does not run; it is not ready yet when this returns."""
        if self._process is not None:
            return
        command = [sys.executable, "-m", "raftreg", "agent", *self._arguments]
        environ = {key: text for key, text in os.environ.items() if not key.startswith("RAFTREG_")}
        environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        with self.log.open("ab") as log:
            # In a session of its own, so that Ctrl-C reaches the verifier alone, which then ends its nodes.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    async def wait(self) -> None:
        """Wait for the end of a process that was told to end; kill it if that takes too long."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            await asyncio.to_thread(process.wait, STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise CannotAct(f"{self.name} did not end within {STOP_TIMEOUT_S:g} s of SIGTERM") from None

    def end(self) -> None:
        """End it at once, whatever state it is in."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait()

    def death(self) -> str:
        """How it ended by itself, once; empty if it did not."""
        if self._process is None or self._process.poll() is None:
            return ""
        code, self._process = self._process.returncode, None
        return f"{self.name} ended by itself with {code}: {self.last_line()}"

    def last_line(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text("utf-8", "replace").strip().splitlines() if self.log.exists() else []
        return lines[-1] if lines else "no log"

    def lose(self) -> None:
        """End it, and delete its data."""
        self.end()
        shutil.rmtree(self.data, ignore_errors=True)

    def limit_files(self, *, is_full: bool) -> None:
        """No file may grow beyond the largest one that is there now, or any may again."""
        if self._process is None or resource is None:
            return
        sizes = [path.stat().st_size for path in self.data.rglob("*") if path.is_file()]
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        soft = max([*sizes, 4096]) if is_full else hard
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (soft, hard))


class LocalCluster:
    """A `Target` that is started here, and of which nothing stays."""

    def __init__(self, count: int, chance: Stream, data: Path | None = None, *, keep: bool = False) -> None:
        """Nothing is started yet. `data`: where the nodes keep theirs, else in a temporary directory."""
        self._keep = keep
        self._folder = Path(tempfile.mkdtemp(prefix="raftreg-verify-", dir=data))
        self._wires: Wires | None = None
        self._names = [f"n{number}" for number in range(1, count + 1)]
        self._ports = free_ports(3 * (count + 1), chance)
        self._processes: dict[str, Process] = {}
        self._members = Membership(self.nodes)

    @property
    def nodes(self) -> Mapping[str, Address]:
        """See `Target`."""
        return {
            name: Address("127.0.0.1", port) for name, port in zip(self._names, self._ports, strict=False)
        }

    @property
    def abilities(self) -> frozenset[str]:
        """Everything; a full disk only where the system can limit another process."""
        return frozenset({KILL, STOP, PAUSE, CUT, SLOW, MEMBERS} | ({FILL} if HAS_QUOTA else set()))

    @property
    def folder(self) -> Path:
        """Where data and logs are."""
        return self._folder

    async def open(self) -> None:
        """Start all nodes."""
        self._wires = wires = Wires()
        wires.__enter__()
        every = [*self._names, SPARE]
        https, rafts, dnss = (
            self._ports[first : first + len(every)] for first in range(0, 3 * len(every), len(every))
        )
        raft = dict(zip(every, rafts, strict=True))
        for name, http, dns in zip(every, https, dnss, strict=True):
            # The spare one knows the others as they know each other, and is known to none of them.
            reached = {
                other: port if other == name else wires.lead(name, other, port)
                for other, port in raft.items()
                if other in (name, *self._names)
            }
            peers = ",".join(f"{other}=127.0.0.1:{port}" for other, port in reached.items())
            arguments = ["--raft", f"127.0.0.1:{raft[name]}", "--dns", f"127.0.0.1:{dns}", "--peers", peers]
            arguments += ["--snapshot-entries", str(SNAPSHOT_ENTRIES), "--log-level", "warning"]
            self._processes[name] = Process(name, self._folder, arguments, Address("127.0.0.1", http))
        for name in self._names:
            self._processes[name].start()

    async def act(self, action: str, node: str) -> None:
        """See `Target`."""
        process = self._processes[node]
        match action:
            case "kill":
                process.signal(signal.SIGKILL)
                await process.wait()
            case "stop":
                process.signal(signal.SIGTERM)
                await process.wait()
            case "start":
                process.start()
            case "pause":
                process.signal(signal.SIGSTOP)
            case "resume":
                process.signal(signal.SIGCONT)
            case "fill" | "room":
                process.limit_files(is_full=action == "fill")
            case "wipe":
                process.lose()
            case "add" | "remove" | "replace":
                await self._change(action, process)
            case "mend":
                await self._mend()
            case _:
                raise CannotAct(f"nobody knows how to {action} {node}")

    async def _change(self, action: str, process: Process) -> None:
        """Let the spare node in, or a member go, or both; what the cluster cannot do now is left undone."""
        if action != "remove":
            self._processes[SPARE].start()
            if not await self._members.reach(admit(SPARE), TRY_S):
                return
        if action != "add" and await self._members.reach(expel(process.name), TRY_S):
            process.lose()

    async def _mend(self) -> None:
        """The nodes are the voters, with the data that they have now, and the spare one waits anew."""
        await self._members.mend(self._names)
        spare = self._processes[SPARE]
        if spare.data.exists():
            spare.lose()
            spare.start()

    async def cut(self, pairs: Iterable[Pair], *, silently: bool) -> None:
        """See `Target`."""
        if self._wires is not None:
            (self._wires.hold if silently else self._wires.close)(pairs)

    async def slow(self, pairs: Iterable[Pair], delay_s: float) -> None:
        """See `Target`."""
        if self._wires is not None:
            self._wires.slow(pairs, delay_s)

    async def heal(self) -> None:
        """See `Target`."""
        if self._wires is not None:
            self._wires.heal()

    def deaths(self) -> list[str]:
        """See `Target`."""
        return [text for process in self._processes.values() if (text := process.death())]

    async def close(self) -> None:
        """End all processes, at once, and remove everything."""
        for process in self._processes.values():
            process.end()
        self._processes.clear()
        if self._wires is not None:
            self._wires.__exit__(None, None, None)
            self._wires = None
        if not self._keep:
            shutil.rmtree(self._folder, ignore_errors=True)
