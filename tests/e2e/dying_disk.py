"""Runs raftreg with a disk that dies on demand: `python -m tests.e2e.dying_disk agent ...`.

Once the file that RAFTREG_TEST_DISK_DIES names is there, every sync of a file fails with EIO.
"""

import errno
import os
from collections.abc import Callable

from raftreg.cli import main

DISK_DIES = "RAFTREG_TEST_DISK_DIES"


def dying(sync: Callable[[int], None]) -> Callable[[int], None]:
    """`sync`, until the disk is dead."""
    trigger = os.environ[DISK_DIES]

    def sync_or_fail(handle: int) -> None:
        if os.path.exists(trigger):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(handle)

    return sync_or_fail


if __name__ == "__main__":
    os.fsync = dying(os.fsync)  # type: ignore[assignment]  # the file may be given as an object there, too
    if hasattr(os, "fdatasync"):
        os.fdatasync = dying(os.fdatasync)  # type: ignore[assignment]
    main()
