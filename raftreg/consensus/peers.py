"""Who this node talks to: the transport's delegate. Before there is a cluster it bootstraps or waits to be told of one,
afterwards its circle goes by the members."""

import logging
from collections.abc import Callable

from raftreg.consensus import messages as m
from raftreg.consensus.addressbook import RAFT, AddressBook
from raftreg.consensus.boot import FORGETFUL, NOT_ADMITTED, Bootstrap, refusal_without_cluster
from raftreg.consensus.circle import LOG_END, Circle, Outside, Work
from raftreg.consensus.disk import SyncFailed
from raftreg.consensus.driver import Driver
from raftreg.consensus.hello import TOO_OLD, UNPROVED, Hello
from raftreg.consensus.identity import DataDir
from raftreg.consensus.members import name_of
from raftreg.consensus.settings import RaftSettings
from raftreg.consensus.target import Target
from raftreg.errors import StartRefused

_log = logging.getLogger(__name__)


class Peers:
    """See `raftreg.consensus.transport.Delegate`. `circle` is there once the genesis is known."""

    def __init__(
        self,
        settings: RaftSettings,
        data_dir: DataDir,
        outside: Outside,
        adopt: Callable[[bytes, bool], None],
        guarded: Callable[[Work], None],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        """`adopt` is called with the genesis, and whether this node made it or was told it."""
        self.settings, self.data_dir = settings, data_dir
        self.circle: Circle | None = None
        self.book = AddressBook(settings.peers, data_dir.peer_book.addresses)
        self._outside, self._adopt = outside, adopt
        self._guarded, self._on_fatal = guarded, on_fatal
        self._bootstrap = Bootstrap(settings.name, data_dir.identity.member_id, settings.peers)
        self._refused_by: set[str] = set()
        self.too_old = ""  # how a peer refused this node for its release, until one lets it in
        data_dir.advertise[RAFT] = settings.reached_at
        self.book.heard(data_dir.hello())

    def begun(self, driver: Driver) -> None:
        """There is a cluster, of which this node is a member or wants to become one."""
        self.circle = Circle(self.settings, self.data_dir, driver, self.book, self._outside)
        self.circle.changed()

    def act_together(self, member_id: str) -> bool:
        """Whether this process and that of a connected peer both act: then messages may pass."""
        return self.circle is not None and member_id in self.circle.driver.engine.guard.up

    # -- first start -----------------------------------------------------------------------------------------------
    def take_aim(self) -> None:
        """Dial those that are known; without a cluster, all that the operator named."""
        if self.circle is not None:
            self.circle.take_aim()
            return
        targets = [Target(name, address) for name, address in self.settings.peers.items()]
        self._outside.aim([*targets, *(Target("", address) for address in self.settings.join)])

    def try_genesis(self) -> None:
        """Make the cluster if it is this node's turn and everybody is here."""
        if self.circle is not None:
            return
        genesis = self._bootstrap.genesis()
        if genesis is not None:
            _log.info("all peers are here: making the cluster")
            self._adopt(genesis, True)
        elif self._bootstrap.named:
            _log.info("first start, waiting for %s", ", ".join(self._bootstrap.missing) or "the genesis")
        else:
            _log.info("first start, waiting for a member of the cluster that is to be joined")

    # -- delegate of the transport ---------------------------------------------------------------------------------
    def own_hello(self) -> Hello:
        """What this node says of itself, anew for each connection."""
        if self.circle is not None:
            self.data_dir.advertise[LOG_END] = str(self.circle.driver.engine.journal.last)
        return self.data_dir.hello()

    def judge(self, hello: Hello) -> str | None:
        """Whether to talk to a peer: None, or why not."""
        verdict: list[str | None] = [f"{self.settings.name} is ending"]
        self._guarded(lambda: verdict.append(self._judge(hello)))
        return verdict[-1]

    def _judge(self, hello: Hello) -> str | None:
        if self.circle is None:
            settings = self.settings
            # Who was told to join takes the word of any cluster, whomever it would have made one with.
            joins = bool(settings.join) and hello.cluster_id is not None
            return refusal_without_cluster(settings.name, () if joins else settings.peers, hello)
        return self.circle.judge(hello)

    def connected(self, hello: Hello) -> None:
        """A peer was let in, and let us in."""
        self.too_old = ""
        self._guarded(lambda: self._connected(hello))

    def _connected(self, hello: Hello) -> None:
        if self.circle is None:
            self._bootstrap.met(hello)
            self.try_genesis()
        else:
            self.circle.met(hello)

    def disconnected(self, member_id: str, refused_by_kernel: bool) -> None:
        """A connection to a peer ended."""
        self._guarded(lambda: self._disconnected(member_id))

    def _disconnected(self, member_id: str) -> None:
        self._bootstrap.lost(member_id)
        if self.circle is not None:
            self.circle.lost(member_id)

    def received(self, member_id: str, message: list[object]) -> None:
        """A message of a peer whose hello was accepted."""
        try:  # As `_guarded` does it, without its calls: this is for each message.
            self._received(member_id, message)
        except BaseException as error:
            self._on_fatal(error)

    def _received(self, member_id: str, message: list[object]) -> None:
        if message[0] != m.GENESIS:
            if self.circle is not None:
                self.circle.received(member_id, message)
        elif self.circle is None and isinstance(message[1], bytes):
            self._adopt(message[1], False)
        else:
            self._outside.reset(
                member_id
            )  # It met us before we had the genesis: both hellos are needed anew.

    def turn_done(self) -> None:
        """All messages of one read were delivered."""
        if self.circle is not None and not self.circle.driver.engine.at_rest:
            self.circle.driver.want_tick()

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
        elif text.removeprefix(UNPROVED).startswith(TOO_OLD):
            self.too_old = f"{name} refused this node: {text.removeprefix(UNPROVED)[len(TOO_OLD) :]}"
        elif text.startswith(NOT_ADMITTED) and self._is_final(name):
            self._on_fatal(StartRefused(f"{name} refused this node: {text[len(NOT_ADMITTED) :]}"))

    def _is_final(self, name: str) -> bool:
        """Whether a refusal by this peer, which waiting does not mend, leaves nobody who might let this node in.

        A node that was recovered, and is alone yet, has not come to the wrong cluster: those that were given up with
        the former one refuse it wherever they come back, and it is the one that is to serve.
        """
        if self.circle is None:
            return self._bootstrap.named  # Else somebody may yet have a cluster to join.
        voters, identity = self.circle.newest.members.voters, self.data_dir.identity
        if self.circle.admission.was_let_in or (identity.recovered and voters == {identity.member_id}):
            return False
        self._refused_by.add(name.lower())
        named = {one.lower() for one in (*map(name_of, voters), *self.settings.peers)}
        others = named - {self.settings.name.lower()}
        return 2 * len(self._refused_by & others) > len(others)

    def _condemn(self, said: str) -> None:
        try:
            self.data_dir.condemn(said)
        except (StartRefused, SyncFailed) as error:
            _log.error("%s: not marked as an old copy: %s", self.data_dir.path, error)
