"""What clients asked for with `?cached`.

Consul's agents keep such answers and refresh them in the background. Every raftreg node holds the whole state, so
there is nothing to keep: the first read of something is answered as any other, the next ones from the local copy.
"""

from collections import OrderedDict
from typing import Final

REMEMBERED_MAX: Final = 1000


class CachedReads:
    """Which queries were asked with `?cached` lately; the one not asked for the longest time is forgotten first."""

    def __init__(self) -> None:
        self._seen: OrderedDict[object, None] = OrderedDict()

    def seen_before(self, query: object) -> bool:
        """Whether the query was asked before; it counts as asked from now on."""
        seen = query in self._seen
        self._seen[query] = None
        self._seen.move_to_end(query)
        if len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)
        return seen
