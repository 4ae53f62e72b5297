"""A line that says how far a run is and how long it will take, on a terminal; a line for each step elsewhere."""

import sys
import time


class Progress:
    """Counts steps; the time left is guessed from what the steps took so far."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._began = time.monotonic()
        self._tty = sys.stderr.isatty()

    def begin(self, what: str) -> None:
        """A step begins."""
        took = time.monotonic() - self._began
        left = f"about {took / self._done * (self._steps - self._done):.0f} s left" if self._done else ""
        filled = 24 * self._done // self._steps
        bar = f"[{'#' * filled}{'.' * (24 - filled)}] {self._done}/{self._steps} {took:4.0f} s {left:<18} {what}"
        sys.stderr.write(f"\r\x1b[K{bar}" if self._tty else f"{bar}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """A step is done."""
        self._done += 1
        if self._tty and self._done == self._steps:
            sys.stderr.write("\r\x1b[K")
