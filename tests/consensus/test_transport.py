"""The transport on real loopback sockets: who is connected with whom, and what strangers achieve."""

import asyncio
import logging
import pickle
import struct

import pytest

from raftreg.consensus import dialer, exchange, link
from raftreg.consensus.boot import FORGETFUL
from raftreg.consensus.frames import encode_frame
from raftreg.consensus.target import Target
from raftreg.errors import StartRefused
from tests.consensus.loops import on_loop
from tests.consensus.wires import Stranger, Wire, addresses, free_address, running


@on_loop
async def test_messages_go_both_ways_in_order() -> None:
    """Two nodes with one key connect, and what one sends the other receives, whole and in order."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known, key=b"key"), Wire("n2", known, key=b"key")
    async with running(n1, n2):
        await n1.until_connected(n2)
        await n2.until_connected(n1)
        for number in range(100):
            assert n1.transport.send(n2.id, ["number", number, b"\x00" * number])
        assert n2.transport.send(n1.id, ["large", b"x" * (1 << 20)])
        await n2.until(lambda: len(n2.messages) == 100)
        await n1.until(lambda: bool(n1.messages))
        assert [(n1.id, ["number", number, b"\x00" * number]) for number in range(100)] == n2.messages
        assert [(n2.id, ["large", b"x" * (1 << 20)])] == n1.messages
        # A hundred frames of one turn are one write: far fewer reads than frames.
        assert n2.turns < 20
    assert [("connected", n2.id)] == n1.events


@on_loop
async def test_five_nodes_connect_each_with_each() -> None:
    """Every pair has one connection, whatever the order of starting."""
    known = addresses("n1", "n2", "n3", "n4", "n5")
    wires = [Wire(name, known) for name in ("n4", "n1", "n5", "n3", "n2")]
    async with running(*wires):
        for wire in wires:
            await wire.until_connected(*(other for other in wires if other is not wire))
            assert len(wires) - 1 == len(wire.transport.connected())


@on_loop
async def test_names_are_resolved() -> None:
    """An address may be a host name."""
    known = addresses("n1", "n2")
    by_name = {name: ("localhost", port) for name, (_, port) in known.items()}
    n1, n2 = Wire("n1", by_name, listen=known["n1"]), Wire("n2", by_name, listen=known["n2"])
    async with running(n1, n2):
        await n1.until_connected(n2)
        assert {n2.id} == n1.transport.connected()


@pytest.mark.parametrize("deaf", ["n1", "n2"])
@on_loop
async def test_one_way_is_enough(deaf: str) -> None:
    """When only one of two can reach the other, by name the greater or the lesser, they connect."""
    known = addresses("n1", "n2")
    wrong = {**known, ("n2" if deaf == "n1" else "n1"): free_address()}
    n1 = Wire("n1", wrong if deaf == "n1" else known, listen=known["n1"])
    n2 = Wire("n2", wrong if deaf == "n2" else known, listen=known["n2"])
    async with running(n1, n2):
        await n1.until_connected(n2)
        await n2.until_connected(n1)
        assert n1.transport.send(n2.id, ["there"])
        assert n2.transport.send(n1.id, ["and back"])


@on_loop
async def test_both_dial_and_keep_the_same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """When both dial at the same moment they end with one connection, the same one, and it stays."""
    monkeypatch.setattr(dialer, "LESSER_WAITS_AT_START_S", 0.0)

    async def one_pair() -> None:
        known = addresses("n1", "n2")
        n1, n2 = Wire("n1", known), Wire("n2", known)
        async with running(n1, n2):
            await n1.until_connected(n2)
            await n2.until_connected(n1)
            await n1.until_silence_breaks(n2.id)
            await n2.until_silence_breaks(n1.id)
            numbers = {wire.transport._exchange.live[other.id].number for wire, other in ((n1, n2), (n2, n1))}
            assert 1 == len(numbers)
            assert 1 == len(n1.transport._exchange.links)
            assert 1 == len(n2.transport._exchange.links)

    await asyncio.gather(*(one_pair() for _ in range(20)))


@on_loop
async def test_restarted_peer_is_a_new_connection() -> None:
    """When a process ends its peers are told so, and its successor is connected."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    async with running(n1):
        async with running(n2):
            await n1.until_connected(n2)
        await n1.until(lambda: not n1.transport.connected())
        again = Wire("n2", known)
        async with running(again):
            await n1.until_connected(again)
        await n1.until(lambda: not n1.transport.connected())
    assert [("connected", n2.id), ("closed", n2.id)] * 2 == n1.events


@on_loop
async def test_copied_data_directory_is_refused() -> None:
    """A second process with the same member id is refused with a reason; the first stays connected."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    copy = Wire("n2", known, listen=free_address())
    async with running(n1, n2):
        await n1.until_connected(n2)
        async with running(copy):
            await copy.until(lambda: bool(copy.told))
        name, text = copy.told[0]
        assert "n1" == name
        assert f"{n2.id} is connected already" in text
        assert "copies of one data directory" in text
        assert n1.transport.send(n2.id, ["still there"])
        await n2.until(lambda: bool(n2.messages))
    assert [("connected", n2.id)] == n1.events


@on_loop
async def test_a_copy_whose_original_goes_on_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process is first told to go on trying, and in the end that it is the copy."""
    monkeypatch.setattr(exchange, "RIVALRY_S", 0.2)
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    copy = Wire("n2", known, listen=free_address())
    async with running(n1, n2):
        await n1.until_connected(n2)
        async with running(copy):
            await copy.until(lambda: any(text.startswith(FORGETFUL) for _, text in copy.told))
    assert not copy.told[0][1].startswith(FORGETFUL)
    assert [("connected", n2.id)] == n1.events


@on_loop
async def test_empty_data_directory_is_another_member() -> None:
    """Another incarnation under the same name is for the node to judge, not for the transport."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    fresh = Wire("n2", known, incarnation="second", listen=free_address())
    async with running(n1, n2, fresh):
        await n1.until_connected(n2, fresh)
        assert {"n2.n2-first", "n2.second"} == n1.transport.connected()


@pytest.mark.parametrize("refuser", ["n1", "n2"])
@on_loop
async def test_refusal_is_told_on_both_sides(
    refuser: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever judges that it does not want the peer logs it once for one way, and so does the peer, with the text."""
    monkeypatch.setattr(dialer, "LESSER_WAITS_AT_START_S", 60.0)  # the other way
    known = addresses("n1", "n2")
    wires = {name: Wire(name, known, key=b"key") for name in known}
    refused = "n2" if refuser == "n1" else "n1"
    wires[refuser].refusals[refused] = "not in my cluster"
    with caplog.at_level(logging.WARNING):
        async with running(*wires.values()):
            await wires[refused].until(lambda: len(wires[refused].told) >= 3)
    assert {(refuser, "not in my cluster")} == set(wires[refused].told)
    assert 1 == sum(
        f"refused {refused} (" in line and line.endswith(": not in my cluster") for line in caplog.messages
    )
    assert 1 == sum(
        f"{refuser} (" in line and "refused this node: not in my" in line for line in caplog.messages
    )
    assert not wires[refuser].transport.connected()


@pytest.mark.parametrize(
    ("dialer_key", "acceptor_key", "text"),
    [
        (b"one", b"two", "the cluster keys of the two nodes differ"),
        (b"", b"two", "this node has a cluster key and n2 has none"),
        (b"one", b"", "this node has no cluster key and n2 has one"),
    ],
)
@on_loop
async def test_keys_must_be_equal(dialer_key: bytes, acceptor_key: bytes, text: str) -> None:
    """Nodes whose keys differ do not connect; the one that dialed is told why, as something unproved."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known, key=acceptor_key), Wire("n2", known, key=dialer_key)
    async with running(n1, n2):
        await n2.until(lambda: bool(n2.told))
        assert ("n1", f"unproved: {text}") == n2.told[0]
        assert not n1.transport.connected() | n2.transport.connected()


@on_loop
async def test_wrong_name_at_an_address(caplog: pytest.LogCaptureFixture) -> None:
    """A peer that answers under another name than the one dialed is refused, and the address is named."""
    known = addresses("n1", "n2")
    crossed = {**known, "n3": known["n1"]}
    n1, n4 = Wire("n1", known), Wire("n4", crossed)
    async with running(n1, n4):
        await n1.until(lambda: any("was dialed as n3, but n1 answers" in text for _, text in n1.told))
    host, port = known["n1"]
    assert any(
        f"{host}:{port} was dialed as n3, but n1 answers: check --peers" in line for line in caplog.messages
    )


@on_loop
async def test_address_that_leads_back(caplog: pytest.LogCaptureFixture) -> None:
    """A node that reaches itself under the name of a peer says so."""
    known = addresses("n1")
    n1 = Wire("n1", {**known, "n0": known["n1"]})
    async with running(n1):
        await n1.until(lambda: bool(n1.told))
    assert any("leads back to n1 itself" in line for line in caplog.messages)


@on_loop
async def test_a_name_in_another_case_is_the_same_name(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever calls itself as this node does is refused, and a peer may be written otherwise than it calls itself."""
    known = addresses("n1", "n2")
    n1 = Wire("n1", {"n1": known["n1"], "N2": known["n2"]})
    n2 = Wire("n2", known)
    other = Wire("N1", {}, listen=free_address())
    other.transport.aim([Target("", known["n1"])])
    async with running(n1, n2, other):
        await n1.until_connected(n2)
        await other.until(lambda: bool(other.told))
        assert {n2.id} == n1.transport.connected()
    assert "another process calls itself n1 too: names must differ, and not only in case" in other.told[0][1]


GARBAGE = {
    "random": bytes(range(7, 250)) * 40,
    "huge": struct.pack(">I", 1 << 31) + b"x",
    "empty-frame": b"\0\0\0\0",
    "http": b"GET / HTTP/1.1\r\nHost: n1\r\n\r\n",
    "pickle": pickle.dumps({"__reduce__": print}, protocol=0),
    "pickle-frame": struct.pack(">I", 9) + pickle.dumps([1]),
    "not-a-hello": encode_frame(["append", 1, 2, 3]),
    "use-at-once": encode_frame(["use", 99]),
    "bad-refusal": encode_frame(["refused", 1, 2]),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
@on_loop
async def test_garbage_only_closes_its_connection(garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a stranger sends, its connection is closed, one line is logged, and the peers go on."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    async with running(n1, n2):
        await n1.until_connected(n2)
        for _ in range(3):
            stranger = await Stranger.to(known["n1"])
            stranger.writer.write(garbage)
            assert b"" == await stranger.rest()
            await stranger.close()
        assert n2.transport.send(n1.id, ["hello"])
        await n1.until(lambda: bool(n1.messages))
    assert [("connected", n2.id)] == n1.events
    assert [] == n1.told
    assert 1 == sum("which is no raftreg node" in line for line in caplog.messages)


@on_loop
async def test_garbage_on_a_live_connection_closes_it() -> None:
    """A peer that stops to speak the protocol is dropped and reached anew."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    async with running(n1, n2):
        await n1.until_connected(n2)
        await n2.until_connected(n1)
        n2.transport._exchange.live[n1.id]._write_now(struct.pack(">I", 1 << 30))
        await n1.until(lambda: len(n1.events) >= 3)
    assert [("connected", n2.id), ("dropped", n2.id), ("connected", n2.id)] == n1.events[:3]


@on_loop
async def test_slow_stranger_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not finish the handshake in time is closed, also when it sends a byte now and then."""
    monkeypatch.setattr(link, "HANDSHAKE_TIMEOUT_S", 0.2)
    known = addresses("n1")
    async with running(Wire("n1", known)):
        stranger = await Stranger.to(known["n1"])
        stranger.writer.write(b"\0\0")
        assert b"" == await stranger.rest()
        await stranger.close()


@on_loop
async def test_many_idle_strangers_do_not_keep_a_peer_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of unproved connections is bounded: the oldest go first, and a peer gets in."""
    monkeypatch.setattr(exchange, "STRANGERS_MAX", 3)
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    async with running(n1):
        strangers = [await Stranger.to(known["n1"]) for _ in range(8)]
        assert b"" == await strangers[0].rest()
        async with running(n2):
            await n1.until_connected(n2)
        assert len(n1.transport._exchange.links) <= 3 + 1
        for stranger in strangers:
            await stranger.close()


@on_loop
async def test_silent_peer_is_given_up() -> None:
    """A connection on which nothing came for two seconds is closed; a sleep of this process does not count."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    async with running(n1, n2):
        await n1.until_connected(n2)
        await n2.until_connected(n1)
        n2.transport._exchange.sweep = lambda: None  # type: ignore[method-assign]  # It says nothing any more.
        n1.clock.ahead_s += 60.0
        n1.transport._exchange.sweep()
        assert {n2.id} == n1.transport.connected()
        n1.clock.ahead_s += 0.2
        n1.transport._exchange.sweep()
        assert ("dropped", n2.id) == n1.events[1]
        heard = n1.transport.last_heard(n2.id)
        assert heard is not None
        assert n1.clock.now() - heard > 2.0


@on_loop
async def test_idle_connection_is_kept_alive() -> None:
    """When nobody has anything to say, something comes all the same, and nobody is bothered with it."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    assert n1.transport.last_heard(n2.id) is None
    async with running(n1, n2):
        await n1.until_connected(n2)
        await n1.until_silence_breaks(n2.id)
        await n1.until_silence_breaks(n2.id)
        assert [] == n1.messages


@on_loop
async def test_replaced_connection_delivers_nothing() -> None:
    """What arrives on a connection after it was closed here is not delivered."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    async with running(n1, n2):
        await n1.until_connected(n2)
        old = n1.transport._exchange.live[n2.id]
        n1.transport.reset(n2.id)
        old.data_received(encode_frame(["late"]))
        assert set() == n1.transport.connected()
        assert not n1.transport.send(n2.id, ["nobody there"])
        await n1.until_connected(n2)
        assert old is not n1.transport._exchange.live[n2.id]
    assert [] == n1.messages


@on_loop
async def test_room_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending says no when too much waits for a peer, and yes again when that is gone."""
    monkeypatch.setattr(exchange, "SEND_LIMIT_BYTES", 10_000)
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    async with running(n1, n2):
        await n1.until_connected(n2)
        await n2.until_connected(n1)
        sent = 0
        while n1.transport.send(n2.id, [b"x" * 1000]):
            sent += 1
        assert 10 == sent
        assert not n1.transport.has_room(n2.id)
        await n1.until(lambda: n1.transport.has_room(n2.id))
        await n2.until(lambda: len(n2.messages) == sent)


@on_loop
async def test_what_was_sent_before_stop_arrives() -> None:
    """Stopping flushes: the last message of a node that hands over is not lost."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    async with running(n2):
        async with running(n1):
            await n1.until_connected(n2)
            await n2.until_connected(n1)
            n1.transport.send(n2.id, ["take over"])
        await n2.until(lambda: bool(n2.messages))
    assert [(n1.id, ["take over"])] == n2.messages


@on_loop
async def test_taken_port_is_one_line() -> None:
    """A port in use is refused with the address and what to do."""
    known = addresses("n1")
    host, port = known["n1"]
    async with running(Wire("n1", known)):
        with pytest.raises(StartRefused, match=f"cannot listen on {host}:{port} .* Address already in use"):
            await Wire("n1", known).transport.start()


@on_loop
async def test_dead_address_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Trying goes on without a line for each attempt."""
    known = addresses("n1", "n2", "n3")
    n3 = Wire("n3", known)
    attempts = 0
    original = n3.transport.dial_failed

    def counted(target: Target, text: str) -> None:
        nonlocal attempts
        attempts += 1
        original(target, text)

    n3.transport.dial_failed = counted  # type: ignore[method-assign]
    async with running(n3):
        await n3.until(lambda: attempts >= 6)
    assert 2 == len(caplog.messages)
    host, port = known["n1"]
    assert f"cannot reach n1 at {host}:{port}: Connection refused; trying on" in caplog.messages


@on_loop
async def test_random_cuts_of_a_real_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger that says a part of a hello and leaves does no harm, wherever it stops."""
    known = addresses("n1")
    n1 = Wire("n1", known)
    hello = encode_frame(["hello", Wire("n9", known).hello.encode(), b"c" * 32, False])
    async with running(n1):
        for cut in range(0, len(hello), 7):
            stranger = await Stranger.to(known["n1"])
            stranger.writer.write(hello[:cut])
            await stranger.close()
        await n1.until(lambda: not n1.transport._exchange.links)
        await asyncio.sleep(0)
    assert [] == n1.events


@on_loop
async def test_address_that_no_resolver_takes_is_tried_on(caplog: pytest.LogCaptureFixture) -> None:
    """A name with an empty label, which the resolver refuses in its own way, does not end the dialing unnoticed."""
    known = addresses("n1", "n2")
    known["n1"] = ("a..b", 1)
    n2 = Wire("n2", known)
    attempts = 0
    original = n2.transport.dial_failed

    def counted(target: Target, text: str) -> None:
        nonlocal attempts
        attempts += 1
        original(target, text)

    n2.transport.dial_failed = counted  # type: ignore[method-assign]
    async with running(n2):
        await n2.until(lambda: attempts >= 2)
    assert 1 == len([line for line in caplog.messages if "cannot reach n1 at a..b:1: not the name" in line])


@on_loop
async def test_of_nodes_that_come_and_go_only_the_last_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A node that starts on an empty directory again and again is another one each time: memory must not grow."""
    monkeypatch.setattr(exchange, "REMEMBERED_MAX", 2)
    known = addresses("n1", "n2")
    n1 = Wire("n1", known)
    async with running(n1):
        for number in range(4):
            n2 = Wire("n2", known, incarnation=f"{number}")
            async with running(n2):
                await n1.until_connected(n2)
            await n1.until(lambda: not n1.transport.connected())
        heard = [n1.transport.last_heard(f"n2.{number}") is not None for number in range(4)]
        assert [False, False, True, True] == heard
