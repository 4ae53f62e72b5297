"""Which connections count. The part of the transport that knows links; it neither listens nor dials."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from raftreg.addresses import Address
from raftreg.clock import Clock
from raftreg.consensus.addressbook import RAFT
from raftreg.consensus.boot import FORGETFUL
from raftreg.consensus.frames import encode_frame
from raftreg.consensus.hello import CHALLENGE_BYTES, DIALER, UNPROVED, Handshake, Hello
from raftreg.consensus.link import Link
from raftreg.consensus.members import same_name
from raftreg.consensus.notices import Notices

logger = logging.getLogger("raftreg.consensus.transport")

SEND_LIMIT_BYTES = 8 << 20
STRANGERS_MAX = 64
KEEPALIVE_S = 0.4
SILENCE_S = 2.0
ALIVE_S = 1.0  # A member heard within this is alive when another process claims its id.
# One still heard so long after the other process came is no late news of a process that died.
RIVALRY_S = 2.0
# Of whom something is remembered who is not connected: nodes that start on an empty directory again and again are many.
REMEMBERED_MAX = 256


T = TypeVar("T")


class Delegate(Protocol):
    """What the node does with connections. Called on the loop; none may raise."""

    def own_hello(self) -> Hello:
        """How this node introduces itself; asked anew for each connection."""
        ...

    def judge(self, hello: Hello) -> str | None:
        """None to accept a peer that proved to hold the key, else one line that the peer is told."""
        ...

    def connected(self, hello: Hello) -> None:
        """Messages can be sent to that process, and may come from it.

        Where it does not know its own host, its address has that from which the connection came.
        """
        ...

    def disconnected(self, member_id: str, refused_by_kernel: bool) -> None:
        """The connection is gone. `refused_by_kernel`: its other side was closed, so the process has probably ended."""
        ...

    def received(self, member_id: str, message: list[Any]) -> None:
        """One message."""
        ...

    def turn_done(self) -> None:
        """All messages that came with one read were delivered."""
        ...

    def told_refused(self, name: str, text: str) -> None:
        """The peer does not want this node.

        A text that did not come from a holder of the cluster key begins with "unproved: ".
        """
        ...


class Exchange:
    """Implements `link.Hub`. `on_change` is called with a name whose connection came or went."""

    def __init__(
        self,
        delegate: Delegate,
        clock: Clock,
        name: str,
        key: bytes,
        on_change: Callable[[str], None],
    ) -> None:
        self.live: dict[str, Link] = {}
        self.links: set[Link] = set()
        self.notices = Notices()
        self.stopping = False
        self._delegate = delegate
        self._clock = clock
        self._name = name
        self._key = key
        self._on_change = on_change
        self._strangers: dict[Link, None] = {}  # accepted and not live yet, oldest first
        self._heard: dict[str, float] = {}  # of members that are not connected
        self._rivals: dict[str, tuple[str, float]] = {}  # member -> nonce of its second process, when it came
        self._unflushed: list[Link] = []
        self._last_number = 0
        self._swept_at = clock.now()

    # For the transport.

    def send(self, member_id: str, message: Sequence[Any]) -> bool:
        """See Transport.send."""
        if not self.has_room(member_id):
            return False
        self.live[member_id].send(encode_frame(message))
        return True

    def has_room(self, member_id: str) -> bool:
        """Whether `send` would take a message for that member."""
        link = self.live.get(member_id)
        return link is not None and link.waiting_bytes() <= SEND_LIMIT_BYTES

    def last_heard(self, member_id: str) -> float | None:
        """When something came from that member, on the clock; None if it never was connected."""
        link = self.live.get(member_id)
        return self._heard.get(member_id) if link is None else link.heard

    def retire(self, link: Link, *, by_peer: bool) -> None:
        """A link that counted does not any more."""
        link.drop()
        hello = link.peer
        if hello is None or self.live.get(hello.member_id) is not link:
            return
        del self.live[hello.member_id]
        _remember(self._heard, hello.member_id, link.heard)
        if not self.stopping:
            logger.debug("the connection with %s is gone", hello.name)
            self._delegate.disconnected(hello.member_id, by_peer)
            self._on_change(hello.name)

    def sweep(self) -> None:
        """Every KEEPALIVE_S: say something where nothing was sent, give up links that were silent for too long."""
        now = self.now()
        # This process slept: what waits in sockets comes first.
        stalled = now - self._swept_at > 3 * KEEPALIVE_S
        self._swept_at = now
        for link in list(self.live.values()):
            if now - link.heard > SILENCE_S and not stalled:
                assert link.peer is not None
                self.notices.say(
                    link.peer.name, f"{link.peer.name} was silent for {SILENCE_S:g} s: closing the connection"
                )
                self.retire(link, by_peer=False)
            elif not link.wrote:
                link.ping()
            link.wrote = False

    # For links (link.Hub).

    def now(self) -> float:
        """The clock's time."""
        return self._clock.now()

    def link_opened(self, link: Link) -> None:
        """Count it, and make room when strangers hold too many."""
        self.links.add(link)
        if self.stopping:
            link.drop()
        elif link.role != DIALER:
            while len(self._strangers) >= STRANGERS_MAX:
                oldest = next(iter(self._strangers))
                del self._strangers[oldest]
                self.notices.say(
                    "strangers", "too many connections that say nothing: closing the oldest of them"
                )
                oldest.drop()
            self._strangers[link] = None

    def begin_handshake(self, link: Link) -> Handshake:
        """A fresh challenge and this node's hello of now."""
        own = self._delegate.own_hello()
        challenge = self._clock.token(CHALLENGE_BYTES)
        return Handshake(link.role, own, self._key, challenge, lambda hello: self._judge(link, own, hello))

    def link_proved(self, link: Link) -> bool:
        """A connection that was dialed is of no use any more if the peer's own came first."""
        assert link.peer is not None
        live = self.live.get(link.peer.member_id)
        return link.role != DIALER or live is None or live.peer is None or live.peer.nonce != link.peer.nonce

    def use_number(self, link: Link) -> int | None:
        """The greater name numbers."""
        assert link.peer is not None
        if self._name < link.peer.name:
            return None
        self._last_number += 1
        return self._last_number

    def link_live(self, link: Link) -> str | None:
        """Let it take the place of an older one."""
        hello = link.peer
        assert hello is not None
        if (refusal := self._copied(hello)) is not None:
            return refusal
        self._strangers.pop(link, None)
        older = self.live.get(hello.member_id)
        if older is not None and older.peer is not None:
            if older.peer.nonce == hello.nonce and older.number > link.number:
                link.drop()
                return None
            self.retire(older, by_peer=False)
        self.live[hello.member_id] = link
        self.notices.forget(hello.name)
        logger.debug("connected with %s (%s)", hello.member_id, link.remote)
        self._delegate.connected(_located(hello, link.remote_host))
        self._on_change(hello.name)
        return None

    def link_refused(self, link: Link, text: str) -> None:
        """Log it."""
        who, shown = self._who(link)
        self._notice(who, f"refused {shown}: {text}")

    def link_told(self, link: Link, text: str, *, authentic: bool) -> None:
        """Log it, and let the node know. What an unproved caller says is of no interest to the node."""
        who, shown = self._who(link)
        self._notice(who, f"{shown} refused this node: {text}")
        if not self.stopping and (authentic or link.role == DIALER):
            self._delegate.told_refused(who, text if authentic else UNPROVED + text)

    def link_failed(self, link: Link, text: str) -> None:
        """Log it, for strangers once for each address, whatever they said."""
        who, shown = self._who(link)
        if link.peer is not None or link.target is not None:
            self._notice(who, f"closed the connection with {shown}: {text}")
        else:
            self._notice(
                who, f"closed a connection from {shown}, which is no raftreg node: {text}", same="stranger"
            )

    def link_message(self, link: Link, message: list[Any]) -> None:
        """Deliver."""
        assert link.peer is not None
        self._delegate.received(link.peer.member_id, message)

    def turn_done(self) -> None:
        """Pass it on."""
        self._delegate.turn_done()

    def link_closed(self, link: Link, *, by_peer: bool) -> None:
        """Forget it; if it counted, say so."""
        self.links.discard(link)
        self._strangers.pop(link, None)
        self.retire(link, by_peer=by_peer)

    def flush_soon(self, link: Link) -> None:
        """One flush for all links when this turn of the loop is over.

        Measured against a write for each message: 2 us later in a quiet cluster, and a third less CPU when ten
        messages are sent in a turn.
        """
        if not self._unflushed:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unflushed.append(link)

    # Inside.

    def _flush(self) -> None:
        links, self._unflushed = self._unflushed, []
        for link in links:
            link.flush()

    def _judge(self, link: Link, own: Hello, hello: Hello) -> str | None:
        if same_name(hello.name, own.name):
            if hello.nonce == own.nonce:
                return f"this address leads back to {own.name} itself: check --peers or --join"
            return f"another process calls itself {own.name} too: names must differ, and not only in case"
        target = link.target
        if target is not None and target.name and not same_name(hello.name, target.name):
            return f"{Address(*target.address)} was dialed as {target.name}, but {hello.name} answers: check --peers"
        return self._copied(hello) or self._delegate.judge(hello)

    def _copied(self, hello: Hello) -> str | None:
        """A refusal if another process with the same member id is connected and alive.

        Until that is beyond doubt the second one is told to go on trying: the first may have died just now.
        """
        link = self.live.get(hello.member_id)
        if link is None or link.peer is None or link.peer.nonce == hello.nonce:
            return None
        if self.now() - link.heard > ALIVE_S:
            return None
        nonce, came = self._rivals.get(hello.member_id, ("", 0.0))
        if nonce != hello.nonce:
            came = self.now()
            _remember(self._rivals, hello.member_id, (hello.nonce, came))
        return (FORGETFUL if link.heard - came > RIVALRY_S else "") + (
            f"{hello.member_id} is connected already from {link.remote}: two processes run on copies of one data "
            "directory. Stop the one that runs on the copy, and delete the copy"
        )

    def _who(self, link: Link) -> tuple[str, str]:
        """(the subject of notices, how to show it). The port of somebody who called says nothing, and varies."""
        name = (link.target and link.target.name) or (link.peer and link.peer.name)
        remote = link.remote if link.role == DIALER else link.remote.rpartition(":")[0]
        return (name, f"{name} ({remote})") if name else (remote, remote)

    def _notice(self, subject: str, text: str, *, same: str | None = None) -> None:
        if not self.stopping:
            self.notices.say(subject, text, same=same)


def _remember(table: dict[str, T], member: str, value: T) -> None:
    """Note something of a member, and forget what was noted longest ago of another if that is too much."""
    table.pop(member, None)
    table[member] = value
    if len(table) > REMEMBERED_MAX:
        del table[next(iter(table))]


def _located(hello: Hello, host: str) -> Hello:
    """A hello whose process is reached by its address, where it told but a port."""
    colon, port = hello.advertise.get(RAFT, "").rpartition(":")[1:]
    if not host or f"{colon}{port}" != hello.advertise.get(RAFT) or not port.isdecimal():
        return hello
    return replace(hello, advertise={**hello.advertise, RAFT: str(Address(host, int(port)))})
