"""The message that tells a committed member set, and where its members are reached.

What is told is a help and no more. It says whom to dial, who is to let this process in (`admission`), and that this
node was removed. Votes and commits are counted by the set in the own log alone, so a node that is deposed or lags
behind can do no more than have somebody be silent for a while.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raftreg.consensus import messages as m
from raftreg.consensus.journal import Placed
from raftreg.consensus.members import Members
from raftreg.errors import NewerFormat

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notice:
    """`committed` is known to be so. `in_use`: what its sender goes by, if that is a later set; it may never be
    committed, or may be so without its sender's knowledge, who has started again since."""

    committed: Placed
    addresses: Mapping[str, str]
    in_use: Placed | None = None


def notice(told: Notice) -> list[Any]:
    """As it is sent."""
    later = () if told.in_use is None else _packed(told.in_use)
    return [m.MEMBERS, *_packed(told.committed), dict(told.addresses), *later]


def _packed(placed: Placed) -> tuple[int, int, bytes]:
    return placed.term, placed.index, placed.members.encode()


def _placed(term: Any, index: Any, entry: Any) -> Placed:
    members = Members.decode(entry)
    if members is None:
        raise ValueError("not a member set")
    return Placed(int(term), int(index), members)


def read_notice(message: list[Any]) -> Notice | None:
    """What was told; None, and a line in the log, if it cannot be read."""
    try:
        _, term, index, entry, addresses, *later = message
        committed = _placed(term, index, entry)
        texts = {str(key): str(text) for key, text in addresses.items()}
        return Notice(committed, texts, _placed(*later) if later else None)
    except (ValueError, TypeError, AttributeError, NewerFormat) as error:
        _log.warning(
            "a member set that was told is not understood: %s; is its sender a newer raftreg?", error
        )
        return None
