"""The envelope around pysyncobj's messages: whatever would make it lose a write is held back, corrected or
dropped here.

pysyncobj sees a `Transport` that delivers exactly the messages that are safe to act on. IO-free: messages leave
through an outlet function and arrive at `receive`. The rules, each with a directed test of its name in
tests/consensus:

    * Acks, votes and vote requests leave only when the log is durable up to them. That a member is there is told at
      once where its disk is slow, or its leader would take it for gone, and make way.
    * An ack counts only in the term it was made in, and only up to what is durable on the leader itself.
    * An append never truncates a matching tail; acks and commit index are capped by what the message verified.
    * A rejection names the next place to try, one term back per round trip; stale rejections are ignored.
    * A vote counts once per term and voter, and only from a voter of the member set in use.
    * While the leader is fresh, nobody votes (stickiness), except in a hand-over.
    * Snapshots travel by `snapshot_transfer`, never inside appends; chunked or unknown messages are dropped.
"""

from collections import deque
from typing import TYPE_CHECKING, Any

from pysyncobj.node import Node
from pysyncobj.transport import Transport

from raftreg.consensus import messages as m
from raftreg.consensus.journal import Entry
from raftreg.consensus.seams import Peer
from raftreg.errors import Fatal

if TYPE_CHECKING:
    from raftreg.consensus.engine import Engine

Message = list[Any]


class Guard(Transport):  # type: ignore[misc]  # pysyncobj is untyped
    """The transport that pysyncobj gets. Keys of all tables are member ids."""

    def __init__(self, engine: "Engine", self_node: Node, other_nodes: list[Node]) -> None:
        super().__init__(engine, self_node, other_nodes)
        self.engine = engine
        self.nodes: dict[str, Node] = {node.id: node for node in other_nodes}
        self.up: set[str] = set()  # connected, whatever pysyncobj was told
        self.congested: set[str] = set()  # connected, but hidden from pysyncobj until its buffer drained
        self.votes: set[tuple[int, str]] = set()
        self.appended_at = 0.0  # when the last append left
        self.forced = False  # the next vote requests ignore stickiness: leadership is being handed to us
        self._held: deque[tuple[int, str | None, Any]] = deque()  # (record number, to whom, message)
        self._acked: dict[str, tuple[int, int]] = {}  # member -> (term, highest next index that it acked)
        self._delivered: dict[str, tuple[int, int]] = {}  # member -> the part of it that pysyncobj was told
        self._reset_stamp: dict[str, int] = {}  # member -> stamp of the last append before its last rejection
        self._answering = 0  # stamp of the append that is being handled
        self._ack_cap: int | None = None  # what the append in hand verified, plus one
        self._retry_at: int | None = None  # where a rejected append should begin instead
        self._quiet = False  # the append in hand was made by ourselves: no ack
        self._verified: tuple[int, int] = (0, 0)  # (term, index): log known equal to the leader's up to there

    def node(self, member: str) -> Node:
        """pysyncobj's object for a member."""
        if member not in self.nodes:
            self.nodes[member] = Peer(member)
        return self.nodes[member]

    def forget(self, member: str) -> None:
        """Drop all that is known of a member: it joined, or it left."""
        for table in (self._acked, self._delivered, self._reset_stamp):
            table.pop(member, None)

    def caught_up(self, member: str, index: int) -> bool:
        """Whether a member acked, in this term, everything up to and including an index."""
        term, following = self._acked.get(member, (0, 0))
        return term == self.engine.raftCurrentTerm and following > index

    def acked_index(self, member: str) -> int:
        """The last index that a member acked in this term, 0 if none."""
        term, following = self._acked.get(member, (0, 1))
        return following - 1 if term == self.engine.raftCurrentTerm else 0

    # -- connections -----------------------------------------------------------------------------------------------
    def peer_up(self, member: str) -> None:
        """A connection to a member was established."""
        self.up.add(member)
        self.congested.discard(member)
        self._onNodeConnected(self.node(member))
        self._begin_anew(member)
        self.engine.resume_at_match(member)

    def peer_down(self, member: str) -> None:
        """The connection to a member is gone."""
        self.up.discard(member)
        self.congested.discard(member)
        self._onNodeDisconnected(self.node(member))
        self._begin_anew(member)
        self.engine.election.peer_down(member)

    def _begin_anew(self, member: str) -> None:
        """What was under way on a former connection is lost."""
        self.engine.feed.forget(member)
        self.engine.catch_up.forget(member)

    def relieve(self, drained: set[str]) -> None:
        """Show members to pysyncobj again whose send buffers have room."""
        for member in self.congested & drained:
            self.congested.discard(member)
            self._onNodeConnected(self.node(member))
            self.engine.want_broadcast()

    # -- outgoing --------------------------------------------------------------------------------------------------
    def send(self, node: Node, message: dict[str, Any]) -> bool:
        """pysyncobj sends a message."""
        engine, kind = self.engine, message["type"]
        if kind in ("request_vote", "response_vote"):
            engine.election.voted()
        if node is engine.shadow:
            if kind == "request_vote":
                self._hold(None, message["term"])
            return True
        if kind == "append_entries":
            return self._send_append(node, message)
        if kind == "next_node_idx":
            return self._send_ack(node, message)
        if kind == "request_vote":
            log = (message["last_log_index"], message["last_log_term"])
            return self._hold(node.id, [m.VOTE_ASK, message["term"], *log, self.forced])
        if kind == "response_vote":
            engine.election.stand_back()
            return self._hold(node.id, [m.VOTE, message["term"]])
        raise Fatal(f"pysyncobj sent a message of kind {kind}, which nobody answers")

    def _send_append(self, node: Node, message: dict[str, Any]) -> bool:
        engine, member = self.engine, node.id
        if "serialized" in message:
            return True  # The serializer began our own transfer when pysyncobj asked it for data.
        if engine.transfers.serves(member):
            return engine.outlet(member, engine.reads.ping())
        entries: list[Entry] = message["entries"]
        learner = member in engine.members.learners
        if learner and not engine.feed.admits(member, entries):
            return bool(entries) or engine.outlet(member, engine.reads.ping())
        fields = (message["term"], message["commit_index"], message["prevLogIdx"], message["prevLogTerm"])
        body = [(data, term) for data, _, term in entries]
        self.appended_at = engine.now()
        sent = engine.outlet(member, [m.APPEND, engine.reads.stamp(), *fields, body])
        if not sent and entries and member in self.up:
            engine.set_next_index(node, entries[0][1])
            self.congested.add(member)
            self._onNodeDisconnected(node)
        elif learner and entries:
            engine.feed.sent(member, entries)
        return sent

    def _send_ack(self, node: Node, message: dict[str, Any]) -> bool:
        if self._quiet:
            return True
        following, success, reset = message["next_node_idx"], message["success"], message["reset"]
        if success and self._ack_cap is not None:
            following = min(following, self._ack_cap)
        if reset and self._retry_at is not None:
            following = self._retry_at
        term = self.engine.raftCurrentTerm
        if self.engine.disk.is_slow:
            self.engine.outlet(node.id, [m.PONG, term, self._answering])
        return self._hold(node.id, [m.ACK, term, following, reset, success, self._answering])

    def _hold(self, member: str | None, message: Any) -> bool:
        log = self.engine.journal.log
        if log.synced >= log.seq and not self._held and member is not None:
            return self.engine.outlet(member, message)
        if self._held and _repeats(self._held[-1], (log.seq, member, message)):
            self._held.pop()
        self._held.append((log.seq, member, message))
        self.engine.want_sync()
        return True

    def on_synced(self, seq: int) -> None:
        """The log is durable up to record `seq`: let go what waited for it."""
        self.engine.election.on_synced(seq)
        while self._held and self._held[0][0] <= seq:
            _, member, message = self._held.popleft()
            if member is not None:
                self.engine.outlet(member, message)
            elif message == self.engine.raftCurrentTerm and self.engine.alone:
                # Our own disk, the shadow of a single voter, gives its vote.
                vote = {"type": "response_vote", "term": message}
                self._onMessageReceived(self.engine.shadow, vote)
        if self.engine.leading:
            self._release_acks()

    def confirm_snapshot(self, member: str, index: int) -> None:
        """Tell the leader that this node has everything up to `index` through a snapshot."""
        self._hold(member, [m.ACK, self.engine.raftCurrentTerm, index + 1, False, True, 0])

    # -- incoming --------------------------------------------------------------------------------------------------
    def receive(self, member: str, message: Message) -> bool:
        """Deliver a message to pysyncobj if it is of its kinds and safe. Returns whether the kind was known."""
        kind = message[0]
        if kind == m.APPEND:
            self._on_append(self.node(member), message)
        elif kind == m.ACK:
            self._on_ack(self.node(member), message)
        elif kind == m.COMMIT:
            self._on_commit(self.node(member), message[1], message[2])
        elif kind == m.VOTE_ASK:
            self._on_vote_ask(self.node(member), message)
        elif kind == m.VOTE:
            self._on_vote(self.node(member), message[1])
        elif kind == m.NEWER_TERM:
            if member in self.engine.members.all and message[1] > self.engine.raftCurrentTerm:
                self.step_down(self.node(member), message[1])
        else:
            return False
        return True

    def step_down(self, node: Node, term: int) -> None:
        """Adopt a newer term. pysyncobj does so for a vote request, which this one can never win."""
        ask = {"type": "request_vote", "term": term, "last_log_index": 0, "last_log_term": -1}
        self._onMessageReceived(node, ask)

    def _on_vote_ask(self, node: Node, message: Message) -> None:
        _, term, last_index, last_term, forced = message
        self.engine.notice_outsider(node.id)
        if not forced and (self.engine.leading or self.engine.election.sticky()):
            return
        ask = {"type": "request_vote", "term": term, "last_log_index": last_index, "last_log_term": last_term}
        self._onMessageReceived(node, ask)

    def _on_vote(self, node: Node, term: int) -> None:
        vote = (term, node.id)
        if (
            term != self.engine.raftCurrentTerm
            or vote in self.votes
            or node.id not in self.engine.members.voters
        ):
            return
        self.votes = {cast for cast in self.votes if cast[0] == term} | {vote}
        self._onMessageReceived(node, {"type": "response_vote", "term": term})

    # -- acks, on the leader ---------------------------------------------------------------------------------------
    def _on_ack(self, node: Node, message: Message) -> None:
        engine = self.engine
        _, term, following, reset, success, stamp = message
        if node.id not in engine.members.all:
            return
        if term > engine.raftCurrentTerm:
            self.step_down(node, term)
        if term != engine.raftCurrentTerm or not engine.leading:
            return
        engine.reads.heard(node.id, stamp)
        acked = self._acked.get(node.id)
        known = acked[1] if acked and acked[0] == term else 1
        if success:
            if following > known:
                self._acked[node.id] = (term, following)
                engine.transfers.acked(node.id, following)
            self._release_acks(node.id)
            engine.catch_up.acked(node.id, following)
            engine.feed.acked(node.id, following)
            return
        if reset and stamp <= self._reset_stamp.get(node.id, 0):
            reset = False  # It rejects something sent before its last rejection; that says nothing new.
        elif reset:
            self._reset_stamp[node.id] = engine.reads.last_stamp
            # Its log may be longer than ours, and its conflicting term may begin below what it acked in this term.
            following = max(known, min(following, engine.journal.last + 1))
            engine.feed.forget(node.id)
            engine.want_broadcast()
        self._deliver_ack(node, following, reset, False)

    def heard(self, member: str) -> None:
        """A member answered something that is not an ack; it counts for the check of the quorum."""
        self._deliver_ack(self.node(member), 0, False, False)

    def _deliver_ack(self, node: Node, following: int, reset: bool, success: bool) -> None:
        before = self.engine.next_index(node)
        ack = {"type": "next_node_idx", "next_node_idx": following, "reset": reset, "success": success}
        self._onMessageReceived(node, ack)
        if success and not reset and self.engine.next_index(node) < before:
            self.engine.set_next_index(node, before)  # pysyncobj lets each ack move it back

    def _release_acks(self, only: str | None = None) -> None:
        """Let acks count up to what is durable here: the leader's own vote for an entry."""
        engine, limit = self.engine, self.engine.journal.durable + 1
        current, everybody = engine.raftCurrentTerm, engine.members.all
        for member, (term, following) in self._acked.items():
            if term != current or member not in everybody:
                continue
            told = (term, min(following, limit))
            if member == only or (only is None and told > self._delivered.get(member, (0, 0))):
                self._delivered[member] = told
                self._deliver_ack(self.node(member), told[1], False, True)

    # -- appends, on a member --------------------------------------------------------------------------------------
    def _on_append(self, node: Node, message: Message) -> None:
        engine, journal = self.engine, self.engine.journal
        _, stamp, term, commit, prev_index, prev_term, body = message
        if term < engine.raftCurrentTerm:
            engine.outlet(node.id, [m.NEWER_TERM, engine.raftCurrentTerm])
            return
        engine.disk.look()
        self._answering, self._ack_cap, self._retry_at = stamp, None, None
        engine.election.heard_leader()
        append = {
            "type": "append_entries",
            "term": term,
            "commit_index": 0,
            "entries": [],
            "prevLogIdx": prev_index,
            "prevLogTerm": prev_term,
        }
        if journal.term_at(prev_index) == prev_term:
            entries = [(data, prev_index + 1 + offset, its) for offset, (data, its) in enumerate(body)]
            self._narrow(append, entries, min(commit, prev_index + len(entries)))
            self._verified = (term, max(prev_index + len(entries), self._verified_in(term)))
        else:
            self._retry_at = self._one_term_back(prev_index)
        self._onMessageReceived(node, append)
        self._ack_cap = self._retry_at = None

    def _verified_in(self, term: int) -> int:
        return self._verified[1] if self._verified[0] == term else 0

    def _narrow(self, append: dict[str, Any], entries: list[Entry], commit: int) -> None:
        """Leave only what is new in an append whose beginning matches, so that no matching tail is truncated."""
        engine, journal = self.engine, self.engine.journal
        prev = append["prevLogIdx"]
        known = 0
        while known < len(entries) and journal.term_at(entries[known][1]) == entries[known][2]:
            known += 1
        at = prev + known if known < len(entries) else journal.last
        if known < len(entries) and at < min(journal.last, engine.raftCommitIndex):
            raise Fatal(
                f"the leader's log conflicts with ours at {at + 1}, below commit index {engine.raftCommitIndex}"
            )
        append.update(
            prevLogIdx=at, prevLogTerm=journal.term_at(at), entries=entries[known:], commit_index=commit
        )
        self._ack_cap = prev + len(entries) + 1

    def _one_term_back(self, prev_index: int) -> int:
        """Where the leader should go on after a rejection: the beginning of our conflicting term, or our end."""
        engine, journal = self.engine, self.engine.journal
        term = journal.term_at(prev_index)
        if term is None:
            return journal.last + 1
        place = prev_index
        floor = max(journal.first + 1, engine.raftCommitIndex)
        while place > floor and journal.term_at(place - 1) == term:
            place -= 1
        return place

    def _on_commit(self, node: Node, term: int, commit: int) -> None:
        """The leader committed up to `commit`; take it as far as our log is known to be the leader's."""
        engine, journal = self.engine, self.engine.journal
        if term != engine.raftCurrentTerm or engine.leading:
            return
        engine.election.heard_leader()
        commit = min(commit, self._verified_in(term), journal.last)
        if commit <= engine.raftCommitIndex:
            return
        last = journal.last
        append = {"type": "append_entries", "term": term, "commit_index": commit, "entries": []}
        append.update(prevLogIdx=last, prevLogTerm=journal.term_at(last))
        self._quiet = True
        self._onMessageReceived(node, append)
        self._quiet = False


def _repeats(held: tuple[int, str | None, Any], fresh: tuple[int, str | None, Any]) -> bool:
    """Whether a held ack says nothing beside a fresh one; on a full disk one for each heartbeat would pile up."""
    (_, _, before), (_, _, after) = held, fresh
    if held[:2] != fresh[:2] or not isinstance(before, list) or before[:2] != after[:2]:
        return False
    return bool(before[0] == m.ACK and before[3:5] == after[3:5] and before[2] <= after[2])
