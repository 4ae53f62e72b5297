"""New contents for a data directory, put in place of the old ones: after a crash it holds the one or the other.

    recovering/   the new contents, whole and durable before anything else is touched
    recovery      a checked file: from when it is there, the new contents are what counts. It says how far things are
    former-...    the old contents, kept for people

Whoever opens the directory finishes what a crash interrupted (`finish`), before anything in it is read.
"""

from contextlib import suppress
from pathlib import Path

from raftreg.consensus.disk import Disk
from raftreg.consensus.files import LOST_AND_FOUND, explained, read_checked, write_checked

PREPARED = "recovering"
FORMER = "former-"
_MARK = "recovery"
_MAGIC = b"RAFTRCVY"
_VERSION = 1
_REMEDY = (
    "Keep the directory as it is: its recovery was interrupted, and this file would have told how far it was"
)
_STAYS = frozenset({"lock", _MARK, _MARK + ".new", PREPARED, LOST_AND_FOUND})


def begin(path: Path, former: str, disk: Disk) -> None:
    """Decide for the new contents, which are in `recovering/` and durable, and put them in place. Blocks.

    `former` is the name that the directory for the old contents gets.
    """
    _write(path, [former, False], disk)
    finish(path, disk)


def finish(path: Path, disk: Disk) -> bool:
    """Put the new contents in place, if that was decided and is not done yet. False if there was nothing to do."""
    try:
        value = read_checked(path / _MARK, _MAGIC, _VERSION, _REMEDY, disk=disk)
    except FileNotFoundError:
        return False
    former, is_empty = value if isinstance(value, list) else ("", False)
    with explained(path, "put the recovered files in place"):
        if not is_empty:
            _put_aside(path, path / former, disk)
            _write(path, [former, True], disk)
        for name in disk.listdir(path / PREPARED):
            disk.rename(path / PREPARED / name, path / name)
        disk.sync_directory(path)
        disk.sync_directory(path / PREPARED)
        disk.unlink(path / _MARK)
        disk.sync_directory(path)
        with suppress(OSError):  # It is empty and does no harm.
            (path / PREPARED).rmdir()
    return True


def _put_aside(path: Path, aside: Path, disk: Disk) -> None:
    disk.make_directory(aside)
    disk.sync_directory(path)
    for name in disk.listdir(path):
        if name not in _STAYS and not name.startswith(FORMER):
            disk.rename(path / name, aside / name)
    disk.sync_directory(aside)
    disk.sync_directory(path)


def _write(path: Path, value: list[object], disk: Disk) -> None:
    write_checked(path / _MARK, _MAGIC, _VERSION, value, disk=disk)
