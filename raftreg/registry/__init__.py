"""The node as its front doors see it: one door for writes, one for reads. Here state and consensus meet, nowhere else.

What is guaranteed
    * A `write` that returned is on disk at a majority and was applied on this node; it was applied once, however
      often it had to be proposed (same request id until the write timeout). `NoLeader` and `Overloaded` mean that
      nothing happened, `OutcomeUnknown` that it may have. A node that was removed takes none any more (`Removed`);
      what it took before has its outcome.
    * A `read` in mode default or consistent sees every write that was acknowledged anywhere before it began
      (default: while clocks drift by less than the lease's margin). A stale read answers at once from the local
      copy.
    * A change of the members that returned is committed, and was carried out once, whoever led meanwhile.
    * A blocking read returns as soon as the index of what it asked for is above the one it named, and is not
      woken by anything that the state's topics tell apart from it.
What is not
    * Fairness between writers, and order between writes that were in flight at the same time.
    * `tell_leader` is at-least-once: a handler may see the same message twice when the leader changes meanwhile.

One data flow: write -> batch of one loop turn -> consensus (here or at the leader) -> Replica.apply -> watch ->
waiters and the writer's future. Reads: read index -> wait until applied -> query on the local state -> wait for a
topic, again. Spec: Ongaro, "Consensus: Bridging Theory and Practice" (2014), 6.3 (exactly-once by request ids)
and 6.4 (read index, lease).
"""

from raftreg.consensus import MemberChange, PeerStatus, Status, StrangerStatus
from raftreg.registry.answers import Answer, Encodings, ReadOptions
from raftreg.registry.member_advice import (
    advice_on,
    advice_on_stranger,
    is_back,
    levels_of,
    warnings_about,
    warnings_on,
)
from raftreg.registry.member_names import Wish, is_silent
from raftreg.registry.membership import Changed, MembersView
from raftreg.registry.registry import Registry
from raftreg.registry.replica import Replica
from raftreg.registry.standing import standing_outside
from raftreg.state import EVERYTHING

__all__ = [
    "EVERYTHING",
    "Answer",
    "Changed",
    "Encodings",
    "MemberChange",
    "MembersView",
    "PeerStatus",
    "ReadOptions",
    "Registry",
    "Replica",
    "Status",
    "StrangerStatus",
    "Wish",
    "advice_on",
    "advice_on_stranger",
    "is_back",
    "is_silent",
    "levels_of",
    "standing_outside",
    "warnings_about",
    "warnings_on",
]
