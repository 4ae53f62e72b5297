"""What `raftreg verify` says while it runs, and at its end."""

import sys

import click

from raftreg.clock import SystemClock
from raftreg.verify.drive import Progress
from raftreg.verify.run import Finished
from raftreg.verify.summary import fault_counts, headline, replay_command, tried
from raftreg.verify.verdict import Outcome

BAR = 24
EVERY_S = 10.0  # between two lines where nothing can be overwritten
COLOURS = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.EMPTY: "yellow"}


class ProgressLine:
    """One line on standard error that is written anew, or a line now and then where that is no terminal."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet, self._is_terminal = is_quiet, sys.stderr.isatty()
        self._clock = SystemClock()
        self._width = 0
        self._stage, self._shown_s = "", 0.0

    def show(self, progress: Progress) -> None:
        """Say where the run is."""
        if self._is_quiet:
            return
        words = self._words(progress)
        if self._is_terminal:
            click.echo(f"\r{words:{self._width}}", nl=False, err=True)
            self._width = len(words)
        elif progress.stage != self._stage or self._clock.now() > self._shown_s + EVERY_S:
            click.echo(words, err=True)
            self._shown_s = self._clock.now()
        self._stage = progress.stage

    def end(self) -> None:
        """Clear the line."""
        if self._is_terminal and self._width:
            click.echo(f"\r{'':{self._width}}\r", nl=False, err=True)
            self._width = 0

    @staticmethod
    def _words(progress: Progress) -> str:
        if progress.share is None:
            return f"{progress.stage} ..."
        full = round(progress.share * BAR)
        bar = "█" * full + "░" * (BAR - full)
        figures = (
            f"{progress.calls:,} calls, {progress.unknown:,} unknown, leader {progress.leader or 'none':4}"
        )
        return f"{bar} {progress.share:4.0%}  {figures}  {progress.fault}"[:118]


def show_verdict(finished: Finished) -> None:
    """A line for each check, what was tried, and the word at the end."""
    run, verdicts = finished.run, finished.verdicts
    width = max(len(verdict.check) for verdict in verdicts)
    for verdict in verdicts:
        word = click.style(f"{verdict.outcome:5}", fg=COLOURS[verdict.outcome], bold=True)
        click.echo(f"{word}  {verdict.check:{width}}  {verdict.text}")
    click.echo()
    click.echo("tried      " + ", ".join(f"{figure} {meaning}" for figure, meaning in tried(run)))
    click.echo(f"faults     {fault_counts(run)}")
    if finished.staleness is not None:
        click.echo(f"?stale     {finished.staleness}")
    click.echo(f"again      {replay_command(run.options)}")
    if run.options.report is not None:
        click.echo(f"report     {run.options.report}")
    if finished.kept is not None:
        click.echo(f"kept       {finished.kept}")
    click.echo(f"\n{headline(run, verdicts)}.")
