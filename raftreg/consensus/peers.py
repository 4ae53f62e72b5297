"""Who this node talks to: the transport's delegate. Before there is a cluster it bootstraps, afterwards it
feeds the driver."""

import logging
from collections.abc import Callable
from typing import Any

from raftreg.consensus import messages as m
from raftreg.consensus.admission import Admission
from raftreg.consensus.boot import FORGETFUL, NOT_ADMITTED, Bootstrap, refusal, refusal_without_cluster
from raftreg.consensus.disk import SyncFailed
from raftreg.consensus.driver import Driver
from raftreg.consensus.hello import Hello
from raftreg.consensus.identity import DataDir
from raftreg.consensus.settings import RaftSettings
from raftreg.errors import StartRefused

_log = logging.getLogger(__name__)
LOG_END = "log-end"  # what a hello says of the log, beside addresses
OBJECTIONS_ELECTIONS = (
    3.0  # how long voters that are missing may take to object, in greatest election timeouts
)
Work = Callable[[], object]


class Peers:
    """See `raftreg.consensus.transport.Delegate`. `driver` is set once the genesis is known."""

    def __init__(
        self,
        settings: RaftSettings,
        data_dir: DataDir,
        send: Callable[[str, list[Any]], bool],
        reset: Callable[[str], None],
        adopt: Callable[[bytes, bool], None],
        guarded: Callable[[Work], None],
        on_fatal: Callable[[BaseException], None],
        later: Callable[[float, Work], object],
    ) -> None:
        """`adopt` is called with the genesis, and whether this node made it or was told it. `later(seconds, work)`."""
        self.settings, self.data_dir = settings, data_dir
        self.driver: Driver | None = None
        self._send, self._reset, self._adopt = send, reset, adopt
        self._guarded, self._on_fatal, self._later = guarded, on_fatal, later
        self._bootstrap = Bootstrap(settings.name, data_dir.identity.member_id, settings.peers)
        self._refused_by: set[str] = set()
        self._processes: dict[str, str] = {}  # member -> nonce of its process that acted last
        self.admission: Admission | None = None

    def begun(self, driver: Driver) -> None:
        """There is a cluster, and this node is a member of it."""
        self.driver = driver
        objections_s = OBJECTIONS_ELECTIONS * self.settings.election_timeout_max_s
        self.admission = Admission(
            self.data_dir.identity.member_id,
            lambda: driver.engine.members,
            self._send,
            self.data_dir.count_start,
            driver.peer_up,
            lambda work: self._later(objections_s, lambda: self._guarded(work)),
        )
        self.admission.look()

    def act_together(self, member_id: str) -> bool:
        """Whether this process and that of a connected member both act as members: then messages may pass."""
        return self.driver is not None and member_id in self.driver.engine.guard.up

    # -- first start -----------------------------------------------------------------------------------------------
    def try_genesis(self) -> None:
        """Make the cluster if it is this node's turn and everybody is here."""
        genesis = self._bootstrap.genesis() if self.driver is None else None
        if genesis is not None:
            _log.info("all peers are here: making the cluster")
            self._adopt(genesis, True)
        elif self.driver is None:
            _log.info("first start, waiting for %s", ", ".join(self._bootstrap.missing) or "the genesis")

    # -- delegate of the transport ---------------------------------------------------------------------------------
    def own_hello(self) -> Hello:
        """What this node says of itself, anew for each connection."""
        if self.driver is not None:
            self.data_dir.advertise[LOG_END] = str(self.driver.engine.journal.last)
        return self.data_dir.hello()

    def judge(self, hello: Hello) -> str | None:
        """Whether to talk to a peer: None, or why not."""
        verdict: list[str | None] = [f"{self.settings.name} is ending"]
        self._guarded(lambda: verdict.append(self._judge(hello)))
        return verdict[-1]

    def _judge(self, hello: Hello) -> str | None:
        name = self.settings.name
        if self.driver is None:
            return refusal_without_cluster(name, self.settings.peers, hello)
        why = refusal(self.driver.engine.members, name, hello)
        if why is None:
            stale = self._shortened(self.driver, hello) or self.data_dir.judge_starts(hello)
            why = None if stale is None else FORGETFUL + stale
        return why

    def _shortened(self, driver: Driver, hello: Hello) -> str | None:
        """A refusal if a new process of a member lost committed entries that the one before it acked to this leader.

        A copy that was made while the former process ran shows the next count of starts, so this alone gives it away.
        """
        engine, end = driver.engine, hello.advertise.get(LOG_END, "")
        if not engine.leading or not end.isdecimal() or self._processes.get(hello.member_id) == hello.nonce:
            return None
        promised = min(engine.guard.acked_index(hello.member_id), engine.raftCommitIndex)
        if int(end) >= promised:
            return None
        return (
            f"the log of {hello.member_id} ends at entry {end}, but it had acknowledged entry {promised}: its data "
            "directory is an old copy, or its disk lost what it had synced. Bring back the newest data directory"
        )

    def connected(self, hello: Hello) -> None:
        """A peer was let in, and let us in."""
        self._guarded(lambda: self._connected(hello))

    def _connected(self, hello: Hello) -> None:
        if self.admission is None:
            self._bootstrap.met(hello)
            self.try_genesis()
        elif hello.cluster_id is None:
            self._send(hello.member_id, [m.GENESIS, self.data_dir.identity.genesis])
        else:
            self.admission.met(hello)

    def disconnected(self, member_id: str, refused_by_kernel: bool) -> None:
        """A connection to a peer ended."""
        self._guarded(lambda: self._disconnected(member_id))

    def _disconnected(self, member_id: str) -> None:
        self._bootstrap.lost(member_id)
        if self.admission is not None:
            self.admission.lost(member_id)
        if self.driver is not None and self.act_together(member_id):
            self.driver.peer_down(member_id)

    def received(self, member_id: str, message: list[Any]) -> None:
        """A message of a peer whose hello was accepted."""
        self._guarded(lambda: self._received(member_id, message))

    def _received(self, member_id: str, message: list[Any]) -> None:
        if message[0] == m.GENESIS:
            if self.driver is None:
                self._adopt(message[1], False)
            else:
                self._reset(member_id)  # It met us before we had the genesis: both hellos are needed anew.
        elif self.driver is not None and self.act_together(member_id):
            self.driver.receive(member_id, message)
        elif message[0] == m.JOIN and self.admission is not None:
            self._joins(self.admission, member_id)

    def _joins(self, admission: Admission, member_id: str) -> None:
        """A member begins to act. What it is may have changed since it was let in, so it is judged again."""
        hello = admission.hello_of(member_id)
        if hello is None or self._judge(hello) is not None:
            self._reset(member_id)  # It is told why when it says hello again.
            return
        self.data_dir.peer_book.note(hello)
        self._processes[member_id] = hello.nonce
        admission.joins(member_id)

    def turn_done(self) -> None:
        """All messages of one read were delivered."""
        if self.driver is not None and not self.driver.engine.at_rest:
            self.driver.want_tick()

    def told_refused(self, name: str, text: str) -> None:
        """A peer refused this node. When nobody wants it, the process ends with what was said.

        It ends at once when a peer knows that this node has forgotten what it promised, also if others let it in, who
        may not have met its newer process: with its vote they could lose what was acknowledged.
        Its directory is marked, so that it does not start again.
        """
        if text.startswith(FORGETFUL):
            said = f"{name} refused this node: {text[len(FORGETFUL) :]}"
            self._condemn(said)
            self._on_fatal(StartRefused(said))
            return
        let_in = self.admission is not None and self.admission.was_let_in
        if let_in or not text.startswith(NOT_ADMITTED):
            return
        self._refused_by.add(name)
        others = len(self.settings.peers) - 1
        if self.driver is None or 2 * len(self._refused_by) > others:
            self._on_fatal(StartRefused(f"{name} refused this node: {text[len(NOT_ADMITTED) :]}"))

    def _condemn(self, said: str) -> None:
        try:
            self.data_dir.condemn(said)
        except (StartRefused, SyncFailed) as error:
            _log.error("%s: not marked as an old copy: %s", self.data_dir.path, error)
