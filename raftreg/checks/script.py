"""Scripts: the exit code of a program is the status of the check, as nagios plugins have it.

The program is run from its arguments, never by a shell, as the user of this node. It gets neither input nor the
settings of this node, which may hold the cluster key. All that it started is killed when its time is over.
"""

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Mapping
from typing import Final

from raftreg.checks.dialing import OWN_WANT, NotProbed, ProbeFailed, system_text
from raftreg.checks.outcome import Outcome, Tail, output_max
from raftreg.durations import format_duration
from raftreg.model import Probe, Status

DISABLED: Final = "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' to true"
TIMEOUT_S: Final = 30.0
_READ_MAX: Final = 64 * 1024
_STATUS_OF: Final[Mapping[int, Status]] = {0: "passing", 1: "warning"}


class ScriptProbe:
    """Runs a program to its end."""

    def __init__(self, probe: Probe, environ: Mapping[str, str], *, enabled: bool) -> None:
        options = probe.options or {}
        arguments = options.get("ScriptArgs")
        self._arguments = [str(one) for one in arguments] if isinstance(arguments, list | tuple) else []
        self._timeout_s = probe.timeout_s or TIMEOUT_S
        self._output_max = output_max(options.get("OutputMaxSize"))
        self._environ = {name: value for name, value in environ.items() if not name.startswith("RAFTREG_")}
        self._enabled = enabled

    async def __call__(self) -> Outcome:
        """Passing for exit code 0, warning for 1, else critical."""
        if not self._enabled:
            raise ProbeFailed(DISABLED)
        reading, writing = os.pipe()
        try:
            process = await self._start(writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        output = _Output(reading, Tail(self._output_max))
        try:
            async with asyncio.timeout(self._timeout_s):
                await output.ended
                code = await process.wait()
        except BaseException as error:
            # Whatever it started goes with it, if it did not leave its process group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            if isinstance(error, TimeoutError):
                raise ProbeFailed(self._too_late(output.tail)) from None
            raise
        finally:
            output.close()
        return Outcome(_STATUS_OF.get(code, "critical"), _shown(output.tail))

    async def _start(self, output: int) -> asyncio.subprocess.Process:
        """The program, writing to a file descriptor. ProbeFailed if it cannot be run."""
        try:
            return await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environ,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in OWN_WANT:
                raise NotProbed(system_text(error)) from None
            raise ProbeFailed(_unstarted(self._arguments[0], error)) from None

    def _too_late(self, tail: Tail) -> str:
        text = f"Timed out ({format_duration(self._timeout_s)}) running check"
        return f"{text}\n\n{_shown(tail)}" if tail.total else text


class _Output:
    """What a program says, until it and all that inherited its output have closed it."""

    def __init__(self, reading: int, tail: Tail) -> None:
        self.tail = tail
        self._reading = reading
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(reading, False)
        self._loop.add_reader(reading, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._reading, _READ_MAX)
        except BlockingIOError:
            return
        if data:
            self.tail.add(data)
            return
        self._loop.remove_reader(self._reading)
        if not self.ended.done():
            self.ended.set_result(None)

    def close(self) -> None:
        """Read no more."""
        self._loop.remove_reader(self._reading)
        os.close(self._reading)


def _unstarted(program: str, error: OSError | ValueError) -> str:
    """Why a program could not be started, as Go's os/exec says it."""
    if not isinstance(error, OSError):
        return f'exec: "{program}": {error}'
    if "/" not in program and error.errno == errno.ENOENT:
        return f'exec: "{program}": executable file not found in $PATH'
    return f"fork/exec {program}: {system_text(error)}"


def _shown(tail: Tail) -> str:
    if tail.total > tail.kept:
        return f"Captured {tail.kept} of {tail.total} bytes\n...\n{tail.text}"
    return tail.text
