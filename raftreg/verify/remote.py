"""A running cluster, known by its URLs, and the ways to act on its nodes that the user allows.

A way is a table of commands. `{}` stands for what the user named the node by: a pid, a unit, a container, a pod. Each
command has to have done its work when it ends.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from raftreg.addresses import Address
from raftreg.verify.target import CUT, KILL, PAUSE, STOP, CannotAct
from raftreg.verify.wires import Pair

COMMAND_TIMEOUT_S = 60.0
NOT_POSSIBLE = 3  # with this code a script says that it cannot do that

COMMANDS: dict[str, dict[str, tuple[str, ...]]] = {
    # A process that was killed is not started again by anybody, so pids are only paused.
    "pids": {"pause": ("kill", "-STOP", "{}"), "resume": ("kill", "-CONT", "{}")},
    "systemd": {
        "kill": ("systemctl", "kill", "--signal=SIGKILL", "{}"),
        "stop": ("systemctl", "stop", "{}"),
        "start": ("systemctl", "start", "{}"),
        "pause": ("systemctl", "kill", "--signal=SIGSTOP", "{}"),
        "resume": ("systemctl", "kill", "--signal=SIGCONT", "{}"),
    },
    "docker": {
        "kill": ("docker", "kill", "{}"),
        "stop": ("docker", "stop", "{}"),
        "start": ("docker", "start", "{}"),
        "pause": ("docker", "pause", "{}"),
        "resume": ("docker", "unpause", "{}"),
    },
    # The pod's controller starts it again by itself.
    "kubectl": {
        "kill": ("kubectl", "delete", "pod", "{}", "--grace-period=0", "--force"),
        "stop": ("kubectl", "delete", "pod", "{}"),
        "start": (),
    },
}


@dataclass(slots=True)
class Remote:
    """A `Target`. `way` and `names`: how to act on which node; `script` does it all, if given."""

    urls: Mapping[str, Address]
    way: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    script: Path | None = None

    @property
    def nodes(self) -> Mapping[str, Address]:
        """See `Target`."""
        return self.urls

    @property
    def abilities(self) -> frozenset[str]:
        """What the way can do; of a script, everything that it does not refuse when it is asked."""
        if self.script is not None:
            return frozenset({KILL, STOP, PAUSE, CUT})
        return frozenset(COMMANDS.get(self.way, {})) & {KILL, STOP, PAUSE}

    async def open(self) -> None:
        """Nothing has to be started."""

    async def act(self, action: str, node: str) -> None:
        """See `Target`."""
        if self.script is not None:
            await _run((str(self.script), action, node))
            return
        command = COMMANDS.get(self.way, {}).get(action)
        if command is None or node not in self.names:
            raise CannotAct(f"there is no way to {action} {node}")
        if command:
            await _run(tuple(self.names[node] if word == "{}" else word for word in command))

    async def cut(self, pairs: Iterable[Pair], *, silently: bool) -> None:
        """See `Target`; a script decides by itself whether connections stay."""
        for source, destination in pairs:
            await _run((str(self.script), "cut", source, destination))

    async def slow(self, pairs: Iterable[Pair], delay_s: float) -> None:
        """Nobody can."""
        raise CannotAct("there is no way to slow the links of a running cluster")

    async def heal(self) -> None:
        """See `Target`."""
        if self.script is not None:
            await _run((str(self.script), "heal"))

    def deaths(self) -> list[str]:
        """Nobody knows."""
        return []

    async def close(self) -> None:
        """Nothing was started."""


async def _run(command: tuple[str, ...]) -> None:
    """CannotAct if a command fails, with what it said."""
    shown = " ".join(command)
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise CannotAct(f"{shown}: {error.strerror}") from None
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            _, said = await process.communicate()
    except (TimeoutError, asyncio.CancelledError) as error:
        process.kill()
        await process.wait()
        if isinstance(error, asyncio.CancelledError):
            raise
        raise CannotAct(f"{shown}: not done within {COMMAND_TIMEOUT_S:g} s") from None
    if process.returncode == NOT_POSSIBLE:
        raise CannotAct(f"{shown}: not possible there")
    if process.returncode:
        lines = said.decode("utf-8", "replace").strip().splitlines()
        raise CannotAct(f"{shown}: exit code {process.returncode}{': ' + lines[-1] if lines else ''}")
