"""Whom the transport dials, as that changes, on real loopback sockets."""

import asyncio
from dataclasses import replace

import pytest

from raftreg.consensus.target import Target
from tests.consensus.loops import on_loop
from tests.consensus.wires import Wire, addresses, free_address, running


@on_loop
async def test_it_dials_whom_it_is_told_to() -> None:
    """Who is no target any more is not dialed again, and what there is stays; another address is taken at once."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", {}, listen=known["n1"]), Wire("n2", {}, listen=known["n2"])
    async with running(n1):
        async with running(n2):
            n1.transport.aim([Target("n2", free_address())])
            await asyncio.sleep(0.1)
            assert not n1.transport.connected()
            n1.transport.aim([Target("n2", known["n2"])])
            await n1.until_connected(n2)
            n1.transport.aim([])
            assert {n2.id} == n1.transport.connected()
        await n1.until(lambda: not n1.transport.connected())
        again = Wire("n2", {}, listen=known["n2"])
        async with running(again):
            await asyncio.sleep(0.2)
            assert not n1.transport.connected()


@on_loop
async def test_an_address_without_a_name_is_dialed() -> None:
    """Whoever answers there is let in, under its own name; the connection outlives the target."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", {}, listen=known["n1"]), Wire("n2", {}, listen=known["n2"])
    async with running(n1, n2):
        n2.transport.aim([Target("", known["n1"])])
        await n2.until_connected(n1)
        n2.transport.aim([])
        await n1.until_connected(n2)
        assert n2.transport.send(n1.id, ["still there"])
        await n1.until(lambda: bool(n1.messages))


@on_loop
async def test_who_has_the_name_of_a_member_does_not_stand_for_it() -> None:
    """The member itself is dialed on, and reached when it is there."""
    known = addresses("n1", "n2")
    n1 = Wire("n1", {}, listen=known["n1"])
    fresh = Wire("n2", {}, incarnation="second")
    n2 = Wire("n2", {}, listen=known["n2"])
    async with running(n1, fresh):
        fresh.transport.aim([Target("n1", known["n1"])])
        await n1.until_connected(fresh)
        n1.transport.aim([Target("n2", known["n2"], n2.id)])
        async with running(n2):
            await n1.until_connected(n2, fresh)
            assert {n2.id, fresh.id} == n1.transport.connected()


@pytest.mark.parametrize(
    ("said", "shown"), [(":8300", "127.0.0.1:8300"), ("h:1", "h:1"), (":x", ":x"), ("", "")]
)
@on_loop
async def test_who_does_not_know_its_host_is_where_its_connection_came_from(said: str, shown: str) -> None:
    """The node is told so with the hello."""
    known = addresses("n1", "n2")
    n1, n2 = Wire("n1", known), Wire("n2", known)
    n2.hello = replace(n2.hello, advertise={"raft": said})
    told: list[str] = []
    connected = n1.connected
    n1.connected = lambda hello: (told.append(hello.advertise["raft"]), connected(hello))[1]  # type: ignore[method-assign,func-returns-value]
    async with running(n1, n2):
        await n1.until_connected(n2)
    assert [shown] == told
