"""Coming up from a log of which an older segment is damaged or missing, where that does no harm.

The log is kept from the older of two snapshots on, so that one of them may be damaged. If the newest is whole, what
lies below its own two entries is not needed. So a damaged segment is put aside, with all older ones, if the segments
after it hold, by themselves, everything: term and vote (each segment begins with them), and every entry from the two
of the newest snapshot on. What was acknowledged is then all there, and nothing has to be fetched or believed.

In any other case the damage stands, and the node does not start. It may not ask its peers for the entries that it
lost and go on under its old identity meanwhile: it has acknowledged them, so a majority may rest on them, and its vote
would let somebody be elected who lacks them.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from raftreg.consensus.engine import Engine
from raftreg.consensus.wal import Wal
from raftreg.errors import Damaged

_log = logging.getLogger(__name__)

MakeEngine = Callable[[Wal, Iterator[bytes], Damaged | None], Engine]


def recover(open_wal: Callable[[], Wal], make_engine: MakeEngine) -> tuple[Wal, Engine]:
    """The log and the engine on it. `make_engine` gets what is missing, to raise it unless it is not needed.

    Raises Damaged or StartRefused.
    """
    wal = open_wal()
    try:
        return wal, make_engine(wal, wal.recover(), None)
    except Damaged as damage:
        number = wal.closed_segment(Path(damage.path))
        if number is None:
            raise
        lost = damage
    wal = open_wal()
    engine = make_engine(wal, wal.recover(after=number), lost)
    wal.put_aside_through(number)
    where = (lost.path, lost.what, lost.offset, wal.directory)
    _log.warning(
        "%s: %s at offset %d; went on from the newest snapshot and the log after it, which have the rest; the damaged "
        "segment and those before it are kept as %s/damaged-*",
        *where,
    )
    return wal, engine
