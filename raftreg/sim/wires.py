"""A simulated host's end of its connections: what `raftreg.consensus.transport.Transport` is on real ones."""

from collections.abc import Iterable, Sequence
from typing import Any

from raftreg.clock import Clock
from raftreg.consensus.hello import Hello
from raftreg.consensus.messages import JOIN
from raftreg.consensus.target import Target
from raftreg.consensus.transport import Delegate
from raftreg.sim.loop import Life
from raftreg.sim.network import Network, Path

Packet = list[Any]


class End:
    """One end of a connection. `live` from the moment it counts until it was closed or replaced."""

    __slots__ = (
        "arrives_at", "heard_at", "leaks", "life", "live", "loop", "number", "other", "packet", "packet_at", "path",
        "peer", "under_way", "wires",
    )  # fmt: skip

    def __init__(self, wires: "SimWires", peer: Hello, path: Path) -> None:
        self.wires = wires
        self.peer = peer
        self.path = path  # to the other end
        self.loop = wires.network.loop
        self.other: End
        self.live = False
        self.leaks = False  # a fault: what is under way when it is closed arrives over the next connection
        self.number = 0
        self.heard_at = self.loop.now
        self.packet: Packet = []
        self.packet_at = -1.0
        self.arrives_at = 0.0
        self.under_way = 0

    # -- sending -------------------------------------------------------------------------------------------------------
    def send(self, message: Any) -> None:
        """Put a message on its way; all of one instant travel together."""
        now = self.loop.now
        if self.packet_at == now and self.packet:
            self.packet.append(message)
            return
        self.packet, self.packet_at = [message], now
        self.under_way += 1
        self._post(self.packet)

    def _post(self, packet: Packet | None) -> None:
        """None says goodbye. While the path is cut it waits, in order."""
        path, loop = self.path, self.loop
        if path.cuts:
            path.held.append(lambda: self._post(packet))
            return
        delay = path.delay_s() + path.slow_s + (path.detour_s if self.leaks else 0.0)
        when, after = loop.now + delay, self.arrives_at + 1e-9
        if when < after:
            when = after
        if when < path.stalled_until:
            when = path.stalled_until
        self.arrives_at = when
        other = self.other
        if packet is None:
            loop.at(when, other.wires.life, other.lost)
            return
        loop.at(when, other.wires.life, other.arrive, packet)
        if path.duplicates(loop.now):
            loop.at(when + path.chance.random() * 0.02, other.wires.life, other.arrive, packet)

    def say_goodbye(self, *, abrupt: bool) -> None:
        """Tell the other end that this one is closed. `abrupt`: what is under way may be lost."""
        loop = self.loop
        if abrupt and not self.path.cuts:
            loop.at(loop.now + self.path.delay_s(), self.other.wires.life, self.other.lost)
        else:
            self._post(None)

    # -- receiving -----------------------------------------------------------------------------------------------------
    def arrive(self, packet: Packet) -> None:
        """Deliver what came together."""
        self.other.under_way -= 1
        if not self.live:
            heir = self.wires.live.get(self.peer.member_id) if self.leaks else None
            if heir is not None and heir.peer.nonce != self.peer.nonce:
                packet = [message for message in packet if message[0] != JOIN]  # It speaks for a process.
            if heir is not None and packet:
                heir.deliver(packet)
            return
        self.deliver(packet)

    def deliver(self, packet: Packet) -> None:
        """Give the node what came together."""
        wires = self.wires
        self.heard_at = self.loop.now
        if self.other.packet is packet:
            self.other.packet = []
        wires.network.note(self, packet)
        delegate, member = wires.delegate, self.peer.member_id
        for message in packet:
            if not self.live:
                return
            delegate.received(member, message)
        delegate.turn_done()

    # -- life ----------------------------------------------------------------------------------------------------------
    def become_live(self) -> None:
        """From now on this connection counts, in the place of an older one."""
        wires = self.wires
        older = wires.live.get(self.peer.member_id)
        if older is not None:
            if older.peer.nonce == self.peer.nonce and older.number > self.number:
                return
            older.retire(by_peer=False)
        self.live = True
        self.heard_at = self.loop.now
        wires.live[self.peer.member_id] = self
        wires.delegate.connected(self.peer)

    def retire(self, *, by_peer: bool) -> None:
        """It counts no more."""
        if not self.live:
            return
        self.live = False
        wires = self.wires
        del wires.live[self.peer.member_id]
        wires.heard[self.peer.member_id] = self.heard_at
        if not by_peer:
            self.say_goodbye(abrupt=False)
        if not wires.stopping:
            wires.delegate.disconnected(self.peer.member_id, by_peer)
            wires.network.want(wires.name, self.peer.name)

    def lost(self) -> None:
        """The other end is closed, or silent."""
        self.retire(by_peer=True)


class SimWires:
    """Implements `raftreg.consensus.machinery.Wires` for one life of a host."""

    def __init__(self, network: Network, life: Life, delegate: Delegate, clock: Clock, name: str) -> None:
        self.network, self.life, self.delegate, self.clock, self.name = network, life, delegate, clock, name
        self.live: dict[str, End] = {}
        self.heard: dict[str, float] = {}
        self.aims: set[str] = set()  # hosts that it dials
        self.stopping = False

    def aim(self, targets: Iterable[Target]) -> None:
        """See Wires. The host of an address is the name of a simulated one."""
        before, self.aims = self.aims, {target.address[0] for target in targets} - {self.name}
        if self.network.wires.get(self.name) is self:
            for name in sorted(self.aims - before):
                self.network.want(self.name, name)

    async def start(self) -> None:
        """See Wires."""
        self.network.up(self)

    async def stop(self) -> None:
        """See Wires."""
        self.stopping = True
        for end in list(self.live.values()):
            end.retire(by_peer=False)
        self.network.down(self, silent=True)

    def send(self, member_id: str, message: Sequence[Any]) -> bool:
        """See Wires."""
        end = self.live.get(member_id)
        if end is None or end.under_way > self.network.send_limit:
            return False
        if self.network.when_sent:
            self.network.sent(self.name, message[0])
        end.send(message)
        return True

    def has_room(self, member_id: str) -> bool:
        """See Wires."""
        end = self.live.get(member_id)
        return end is not None and 2 * end.under_way <= self.network.send_limit

    def connected(self) -> set[str]:
        """See Wires."""
        return set(self.live)

    def last_heard(self, member_id: str) -> float | None:
        """See Wires."""
        end = self.live.get(member_id)
        heard = self.heard.get(member_id) if end is None else end.heard_at
        return None if heard is None else self.clock.now() - (self.network.loop.now - heard)

    def reset(self, member_id: str) -> None:
        """See Wires."""
        end = self.live.get(member_id)
        if end is not None:
            end.retire(by_peer=False)

    def linked(self, other: "SimWires") -> bool:
        """Whether this side has a connection with that process."""
        return any(end.other.wires is other for end in self.live.values())

    # -- handshake -----------------------------------------------------------------------------------------------------
    def greet(self, acceptor: "SimWires") -> None:
        """Dial: hello, hello, ready, use; each takes its time, and either side may refuse."""
        Handshake(self.network, self, acceptor).begin()


class Handshake:
    """One attempt to connect two processes. It fails when a path is cut meanwhile, and is tried again."""

    def __init__(self, network: Network, dialer: SimWires, acceptor: SimWires) -> None:
        self.network, self.dialer, self.acceptor = network, dialer, acceptor

    def begin(self) -> None:
        """The dialer says hello."""
        self._go(self.dialer, self._dialed)

    def _go(self, at: SimWires, step: Any) -> None:
        """Do a step at one side after its packet travelled; give up if that cannot be."""
        network, loop = self.network, self.network.loop
        source = self.acceptor if at is self.dialer else self.dialer
        path = network.paths[source.name, at.name]
        if network.is_open(source.name, at.name) and self._alive():
            loop.at(loop.now + path.delay_s(), at.life, self._step, step)
        else:
            loop.at(loop.now + 1e-4, loop.world, self._again)
        # A side that dies or pauses in the middle leaves the other to its timeout.
        loop.at(loop.now + 1.0, loop.world, self._again)

    def _alive(self) -> bool:
        return all(
            side.life.alive and not side.stopping and self.network.wires.get(side.name) is side
            for side in (self.dialer, self.acceptor)
        )

    def _again(self) -> None:
        self.network.want(self.dialer.name, self.acceptor.name)

    def _step(self, step: Any) -> None:
        if self._alive():
            step()
        else:
            self._again()

    def _dialed(self) -> None:
        self.hello = self.dialer.delegate.own_hello()
        self._go(self.acceptor, self._accepted)

    def _accepted(self) -> None:
        refusal = self.acceptor.delegate.judge(self.hello)
        if refusal is not None:
            self._refuse(self.dialer, self.acceptor.name, refusal)
            return
        self.answer = self.acceptor.delegate.own_hello()
        self._go(self.dialer, self._answered)

    def _answered(self) -> None:
        refusal = self.dialer.delegate.judge(self.answer)
        if refusal is not None:
            self._refuse(self.acceptor, self.dialer.name, refusal)
            return
        network = self.network
        self.near = End(self.dialer, self.answer, network.paths[self.dialer.name, self.acceptor.name])
        self.far = End(self.acceptor, self.hello, network.paths[self.acceptor.name, self.dialer.name])
        self.near.other, self.far.other = self.far, self.near
        if self.dialer.name > self.acceptor.name:
            self._use(self.near)
        else:
            self._go(self.acceptor, lambda: self._use(self.far))

    def _use(self, end: End) -> None:
        """The arbiter, the greater name, numbers the connection; it counts there, and a little later at the other."""
        network, loop = self.network, self.network.loop
        network.connections += 1
        end.number = end.other.number = network.connections
        end.arrives_at = max(loop.now + end.path.delay_s(), end.path.stalled_until)
        loop.at(end.arrives_at, end.other.wires.life, end.other.become_live)
        end.become_live()

    def _refuse(self, side: SimWires, name: str, text: str) -> None:
        loop = self.network.loop
        loop.at(loop.now + 0.002, side.life, side.delegate.told_refused, name, text)
