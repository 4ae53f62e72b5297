"""How a bench ends: Ctrl-C and SIGTERM end all that was started, and an error costs one row, not the table."""

import signal
import sys
import traceback
from collections.abc import Callable

INTERRUPTED = 130  # as a shell says of a program that Ctrl-C ended
WORDS_MAX = 400


def sigterm_is_ctrl_c() -> None:
    """From now on SIGTERM does what Ctrl-C does, so that everything that was started is ended.

    An event loop takes Ctrl-C for a wish to cancel its main task. A KeyboardInterrupt that is raised in whatever task
    runs just then would end that one instead, which is told on standard error after everything else.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))


def stoppable(main: Callable[[], int]) -> int:
    """The exit code of a program, or of its interruption, once it has cleaned up."""
    sigterm_is_ctrl_c()
    try:
        return main()
    except KeyboardInterrupt:
        print("\nstopped: everything was ended", file=sys.stderr)
        return INTERRUPTED


def in_words(error: Exception) -> str:
    """What broke a scene, on one line. Unless a promise was broken, standard error gets the traceback."""
    if not isinstance(error, AssertionError):
        traceback.print_exception(error)
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:WORDS_MAX]
    return " ".join(str(error).split())[:WORDS_MAX] or "an assertion failed"
