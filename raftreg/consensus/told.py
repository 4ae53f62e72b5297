"""The message that tells a committed member set, and where its members are reached.

What is told is a help and no more. It says whom to dial, who is to let this process in (`admission`), and that this
node was removed. Votes and commits are counted by the set in the own log alone, so a node that is deposed or lags
behind can do no more than have somebody be silent for a while.
"""

import logging
from collections.abc import Mapping
from typing import Any

from raftreg.consensus import messages as m
from raftreg.consensus.journal import Placed
from raftreg.consensus.members import Members

_log = logging.getLogger(__name__)


def notice(placed: Placed, addresses: Mapping[str, str]) -> list[Any]:
    """As it is sent."""
    return [m.MEMBERS, placed.term, placed.index, placed.members.encode(), dict(addresses)]


def read_notice(message: list[Any]) -> tuple[Placed, dict[str, str]] | None:
    """What was told; None, and a line in the log, if it cannot be read."""
    try:
        _, term, index, entry, addresses = message
        members = Members.decode(entry)
        if members is None:
            raise ValueError("not a member set")
        return Placed(int(term), int(index), members), {
            str(key): str(text) for key, text in addresses.items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        _log.warning(
            "a member set that was told is not understood: %s; is its sender a newer raftreg?", error
        )
        return None
