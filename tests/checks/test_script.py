"""Script probes: exit codes, output, environment, and what becomes of a program that takes too long."""

import asyncio
import os
from pathlib import Path

import pytest

from raftreg.checks.kinds import ProbeSettings
from raftreg.checks.outcome import Outcome
from raftreg.checks.script import DISABLED
from tests.checks.targets import probed, run

PATH = {"PATH": os.environ["PATH"]}
ENABLED = ProbeSettings(scripts=True, environ=PATH | {"RAFTREG_CLUSTER_KEY": "secret", "HOME": "/"})


async def script(*arguments: str, timeout_s: float = 15.0, **options: object) -> Outcome:
    """The outcome of running a program."""
    return await probed(
        "script", timeout_s=timeout_s, settings=ENABLED, ScriptArgs=list(arguments), **options
    )


@pytest.mark.parametrize(
    ("code", "status"), [(0, "passing"), (1, "warning"), (2, "critical"), (127, "critical")]
)
def test_the_exit_code_is_the_status(code: int, status: str) -> None:
    """As nagios plugins have it; what is said on both outputs is the output."""

    async def scenario() -> None:
        outcome = await script("sh", "-c", f"echo out; echo err >&2; exit {code}")
        assert (status, "out\nerr\n") == (outcome.status, outcome.output)

    run(scenario)


def test_there_is_no_shell_and_no_secret() -> None:
    """Arguments arrive as they are; the settings of the node, its key among them, do not."""

    async def scenario() -> None:
        assert Outcome("passing", "$HOME; exit 3\n") == await script("echo", "$HOME; exit 3")
        assert "secret" not in (await script("env")).output
        assert "HOME=/" in (await script("env")).output

    run(scenario)


def test_output_is_bounded() -> None:
    """The end of it is kept, with how much there was."""

    async def scenario() -> None:
        outcome = await script("sh", "-c", "head -c 100000 /dev/zero | tr '\\0' a; echo end")
        assert Outcome("passing", "Captured 4096 of 100004 bytes\n...\n" + "a" * 4092 + "end\n") == outcome
        outcome = await script("echo", "123456", OutputMaxSize=4)
        assert "Captured 4 of 7 bytes\n...\n456\n" == outcome.output

    run(scenario)


def test_a_program_that_takes_too_long_is_killed_with_all_its_children(tmp_path: Path) -> None:
    """The whole process group goes; what was said until then is in the output."""

    async def scenario() -> None:
        held = tmp_path / "pids"
        text = f"echo begun; sleep 300 & echo $! $$ > {held}; wait"
        outcome = await script("sh", "-c", text, timeout_s=1.0)
        assert Outcome("critical", "Timed out (1s) running check\n\nbegun\n") == outcome
        for pid in held.read_text().split():
            for _ in range(500):
                if not is_running(int(pid)):
                    break
                await asyncio.sleep(0.02)
            assert not is_running(int(pid))

    run(scenario)


def is_running(pid: int) -> bool:
    """Whether there is a process that is more than an entry in the table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_cannot_be_run_is_critical_and_says_why() -> None:
    """A program that is not there, and scripts that are not allowed here (the check came from another node)."""

    async def scenario() -> None:
        assert Outcome("critical", "fork/exec /etc/passwd: permission denied") == await script("/etc/passwd")
        missing = 'exec: "no-such-program": executable file not found in $PATH'
        assert Outcome("critical", missing) == await script("no-such-program")
        assert Outcome("critical", DISABLED) == await probed("script", ScriptArgs=["true"])

    run(scenario)
