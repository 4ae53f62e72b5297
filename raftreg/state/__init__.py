"""The replicated state: pure and deterministic. The same commands in the same order give the same bytes everywhere.

What is guaranteed
    * `State.apply` is total: every well-typed request gets a result, and bytes that do not decode get a Failed one.
      No clock, no chance, no input but the request and the state.
    * Every applied command takes the next number, also one that fails or changes nothing. `create_index`,
      `modify_index` and the index of every answer are such numbers. Two writes never share one.
    * A command is carried out whole or refused whole. A refused one, and one that would change nothing, moves no
      index and names no topic.
    * A transaction is carried out whole or not at all, as one command: its writes share one index.
    * A request is applied once: its result is remembered by the request's id, and the second time it is only told
      again. What is older than the memory is refused, not risked.
    * A session ends within the command that takes its node or a check that it named, or turns that check critical; its
      locks go with it. Who holds a lock is in the table of sessions, always.
    * The index of a query never goes back. What is deleted leaves a tombstone; when too many did, the oldest fold into
      a floor below which no index of that table is reported.
    * Whenever the answer to a query or its index changes, one of the query's topics is among those of the command
      that did it. Two exceptions, both harmless, because the index of an answer may rise while the answer stays: the
      index of an absent key, prefix or session is that of the whole table, and a floor may have risen.
    * dump, load, dump gives the same bytes, and equal numbers of the same log give equal digests, whether a replica
      followed the log or began with a snapshot.
What is not
    * Validation: whatever an API would refuse (empty names, odd statuses) is stored as it comes.
    * Waiting, encoding for clients, and time: see `raftreg.registry`, `raftreg.api` and `raftreg.duties`.

Topics: ("kv", key); ("node", folded name) for anything on a node; ("service", folded name) for anything that an answer
about its health consists of (instances, their nodes, checks of both); ("session", id); ("lock-delay", key);
("nodes", ""), ("services", ""), ("checks", ""), ("sessions", ""), ("lock-delays", "") and the like for the tables.
Queries below a prefix wait on ("kv-under", prefix), which the watcher compares with ("kv", key).

One data flow: log entry -> State.apply_entry -> tables -> Applied(result, topics); queries read the tables.
What the indexes mean to clients: https://developer.hashicorp.com/consul/api-docs/features/blocking.
"""

from raftreg.state import queries
from raftreg.state.changes import EVERYTHING, Applied, Found, Topic
from raftreg.state.machine import State
from raftreg.state.queries import Query

__all__ = ["EVERYTHING", "Applied", "Found", "Query", "State", "Topic", "queries"]
