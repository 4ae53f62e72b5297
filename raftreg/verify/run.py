"""A verification from options to verdict, for the command line and for tests."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from raftreg.chance import Chance
from raftreg.clock import Clock, SystemClock
from raftreg.verify.drive import Progress, Run, Tell, drive
from raftreg.verify.judge import judge, staleness
from raftreg.verify.local import LocalCluster
from raftreg.verify.options import Options
from raftreg.verify.staleness import Staleness
from raftreg.verify.target import Target
from raftreg.verify.verdict import Verdict


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM: everything was ended, and there is no verdict."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run with its verdict. `kept`: where data and logs of a cluster that was started here stay, if they do."""

    run: Run
    verdicts: Sequence[Verdict]
    staleness: Staleness | None
    kept: Path | None = None


def local_cluster(options: Options, clock: Clock) -> LocalCluster:
    """The throw-away cluster that the options ask for. Its ports do not depend on the seed: others may run too."""
    ports = Chance(options.seed).stream("ports", clock.uuid())
    return LocalCluster(options.nodes, ports, options.data, keep=options.keep)


def verify(options: Options, target: Target | None, tell: Tell) -> Finished:
    """Do it. CannotVerify if there was nothing to verify, Interrupted when told to stop."""
    clock = SystemClock()
    local = local_cluster(options, clock) if target is None else None
    chosen = target or local
    assert chosen is not None
    try:
        run = asyncio.run(_until_told(options, chosen, clock, tell))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise Interrupted from None
    try:
        verdicts = judge(run, lambda name: tell(Progress(f"judging {name}", calls=len(run.record.calls))))
    except KeyboardInterrupt:
        raise Interrupted from None
    kept = local.folder if local is not None and options.keep else None
    return Finished(run, verdicts, staleness(run), kept)


async def _until_told(options: Options, target: Target, clock: Clock, tell: Tell) -> Run:
    """SIGTERM ends a run as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    with suppress(
        NotImplementedError, RuntimeError, ValueError
    ):  # not in the main thread, or not on this system
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await drive(options, target, clock, tell)
