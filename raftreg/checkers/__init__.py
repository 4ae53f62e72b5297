"""Judges over histories of what clients saw and did. Pure: records in, faults out; no IO, no clock.

What is guaranteed
    * A fault that is reported is one: no correct system, whatever its timing, produces such a history.
    * `linearizability` is exact for its models: it finds a fault if there is one, or says that it gave up.
What is not
    * A history that passes proves nothing about what was not asked.

One data flow: operations are recorded as they end -> `history` records -> one judge per promise -> faults for people.

The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory and the order of
Lowe ("Testing for linearizability", 2017, "just in time"), key by key, since linearizability is local (Herlihy and
Wing, 1990).
"""

from raftreg.checkers.history import Change, Operation, Sighting, Watch

__all__ = ["Change", "Operation", "Sighting", "Watch"]
