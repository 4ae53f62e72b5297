"""Logs: one line per event on standard error, for people or, with JSON, for machines.

A traceback belongs to its event and is folded into the same line. What is given as `extra` follows the message as
key=value, or becomes a key of the JSON object.
"""

import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
# These speak about each request or each lost connection; their errors still come through.
_TALKATIVE = ("aiohttp.access", "aiohttp.server", "asyncio")


def configure(level: str, *, as_json: bool, stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` (standard error), from `level` up. Replaces earlier handlers."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter())
    handler.setLevel(level.upper())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)


class Tap(logging.Handler):
    """Everything that is logged from `level` up, also below what goes to standard error, as lines for somebody else.

    `take` gets each line, without its end, in whatever thread logged it. A context manager: it works inside.
    """

    def __init__(self, level: str, take: Callable[[str], None], *, as_json: bool = False) -> None:
        super().__init__(level.upper())
        self.setFormatter(JsonFormatter() if as_json else LineFormatter())
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one line."""
        self._take(self.format(record))

    def __enter__(self) -> "Tap":
        root = logging.getLogger()
        if not _TAPS:
            _UNTAPPED[:] = [root.level]
        _TAPS.append(self)
        root.addHandler(self)
        _open_root()
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)
        _TAPS.remove(self)
        _open_root()


_TAPS: list[Tap] = []
_UNTAPPED: list[int] = []  # the level of the root logger when there is no tap


def _open_root() -> None:
    """Let through what any tap wants, and no more: records that nobody wants shall cost nothing."""
    logging.getLogger().setLevel(min(_UNTAPPED + [tap.level for tap in _TAPS]))


class LineFormatter(logging.Formatter):
    """`2025-06-01T12:00:00.123Z INFO  consensus.node: leader is n2 term=3`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        extras = "".join(f" {key}={value}" for key, value in _extras(record).items())
        folded = _folded_traceback(record)
        text = f"{_source(record)}: {record.getMessage()}{extras}{f' | {folded}' if folded else ''}"
        return f"{_time(record)} {record.levelname:<7} {_one_line(text)}"


class JsonFormatter(logging.Formatter):
    """An object with time, level, source, message, whatever was given as extra, and exception if there was one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        event: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "source": _source(record),
            "message": record.getMessage(),
            **_extras(record),
        }
        folded = _folded_traceback(record)
        if folded:
            event["exception"] = folded
        return json.dumps(event, default=str, separators=(",", ":"))


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _source(record: logging.LogRecord) -> str:
    return record.name.removeprefix("raftreg.")


def _folded_traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    lines = "".join(traceback.format_exception(record.exc_info[1])).splitlines()
    return " | ".join(line.strip() for line in lines if line.strip())


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")
