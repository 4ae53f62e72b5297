"""Where raftreg touches pysyncobj's insides: nowhere else, and asserted at import.

pysyncobj is pinned exactly. A test compares the source hash of the methods that the adapter leans on, so that
another version is noticed even if the names still exist.
"""

import _socket
import socket
from collections.abc import Callable
from typing import Any

import pysyncobj.syncobj
from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.journal import Journal as PysyncobjJournal
from pysyncobj.node import Node

# Its import replaces this function of the whole process by one for another operating system.
socket.inet_ntop = _socket.inet_ntop

ATTRIBUTES = {
    "_SyncObj__raftElectionDeadline": "written: pysyncobj starts an election only after our pre-vote",
    "_SyncObj__raftNextIndex": "read and written: an ack never moves it back, a new connection resumes at the match",
    "_SyncObj__raftMatchIndex": "written: 0 for a member that joins; the durable index of a single voter's disk",
    "_SyncObj__lastResponseTime": "written: a member that joins, and a single voter's disk, were just heard",
    "_SyncObj__otherNodes": "written: the voters of the latest member set, less this node",
    "_SyncObj__readonlyNodes": "written: its learners",
    "_SyncObj__serializer": "replaced by ours",
    "_SyncObj__raftLeader": "read, without the calls of a property",
    "_SyncObj__raftCommitIndex": "likewise",
    "_SyncObj__raftLastApplied": "likewise",
    "_SyncObj__forceLogCompaction": "read: whether a tick has to look at the log",
}
METHODS = {
    "_SyncObj__doApplyCommand": "overridden: no pickle, our own types of entries",
    "_SyncObj__getEntries": "overridden: the same in fewer calls, for each message and each tick",
    "_SyncObj__getCurrentLogIndex": "overridden, likewise",
    "_SyncObj__sendAppendEntries": "called: one broadcast per tick that appended something",
    "_SyncObj__loadDumpFile": "overridden and called: the log is aligned with the snapshot first; failure is fatal",
}
LEANED_ON = (
    "_onTick",
    "_checkCommandsToApply",
    "_SyncObj__applyLogEntries",
    "_SyncObj__onMessageReceived",
    "_SyncObj__onBecomeLeader",
    "_SyncObj__sendAppendEntries",
    "_SyncObj__getEntries",
    "_SyncObj__tryLogCompaction",
    "_SyncObj__loadDumpFile",
    "_SyncObj__onNodeConnected",
    "_SyncObj__onNodeDisconnected",
    "_SyncObj__setCurrentTerm",
    "_SyncObj__setState",
)

_missing = [name for name in (*METHODS, *LEANED_ON) if not hasattr(SyncObj, name)]
if _missing:
    raise ImportError(f"pysyncobj lacks {', '.join(_missing)}: raftreg needs exactly pysyncobj 0.3.17")

_create_journal = pysyncobj.syncobj.createJournal


def _inject_journal(journal_file: Any = None) -> Any:
    return journal_file if isinstance(journal_file, PysyncobjJournal) else _create_journal(journal_file)


pysyncobj.syncobj.createJournal = _inject_journal


class Peer(str, Node):  # type: ignore[misc]  # pysyncobj is untyped
    """A node as pysyncobj knows it. Its tables are keyed by them: a text is hashed and compared much faster.

    `id` is an attribute here, and a property that costs a call in pysyncobj.
    """

    id: str = ""

    def __init__(self, member_id: str) -> None:
        super().__init__(member_id)
        self.__dict__["id"] = member_id


class NullPoller:
    """pysyncobj polls its sockets at the end of each tick; it has none."""

    def poll(self, timeout: float) -> None:
        """Nothing to poll."""

    def subscribe(self, *_: Any) -> None:
        """Nothing to subscribe to."""

    def unsubscribe(self, *_: Any) -> None:
        """Nothing to unsubscribe from."""


def monotonic() -> float:
    """pysyncobj's own clock, by which it judges the response times that we write."""
    return float(pysyncobj.syncobj.monotonicTime())


def use_clock(now: Callable[[], float]) -> Callable[[], float]:
    """Let pysyncobj read another clock (the simulation's); returns the one that it read before."""
    former: Callable[[], float] = pysyncobj.syncobj.monotonicTime
    pysyncobj.syncobj.monotonicTime = now
    return former


def configuration(
    journal: PysyncobjJournal, *, heartbeat_s: float, quorum_timeout_s: float, entries: int, **callbacks: Any
) -> SyncObjConf:
    """pysyncobj's settings: everything that it does by itself is off, the election timer is ours."""
    return SyncObjConf(
        autoTick=False,
        journalFile=journal,
        fullDumpFile=None,
        dynamicMembershipChange=False,
        appendEntriesUseBatch=True,
        appendEntriesBatchSizeBytes=1 << 30,
        appendEntriesPeriod=heartbeat_s,
        raftMinTimeout=1e8,
        raftMaxTimeout=1e8 + 1,
        connectionTimeout=1e9,
        leaderFallbackTimeout=quorum_timeout_s,
        logCompactionMinEntries=entries,
        logCompactionMinTime=1e12,
        commandsWaitLeader=False,
        useFork=False,
        **callbacks,
    )
