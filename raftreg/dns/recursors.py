"""Other name servers, for what is not in the zone: asked in turn, the first one that answers counts."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from raftreg.addresses import Address
from raftreg.clock import Clock
from raftreg.dns import wire
from raftreg.dns.answerer import Answerer, Reply
from raftreg.dns.foreign import answer_records
from raftreg.dns.plans import Group, error_message
from raftreg.dns.wire import HEADER, HEADER_SIZE

TIMEOUT_S: Final = 2.0  # for each server
RECORDS_MAX: Final = 5  # that are taken over from an answer
_MESSAGE_MAX: Final = 65_535
_WRONG_MAX: Final = 16  # datagrams that are no answer, before a server is given up


class Recursors:
    """The servers of the configuration."""

    def __init__(self, addresses: Sequence[Address], clock: Clock) -> None:
        self._addresses = tuple(addresses)
        self._clock = clock

    async def improve(self, answerer: Answerer, query: bytes, reply: Reply, *, udp: bool) -> bytes:
        """A better answer than `reply`: that of a server, or the reply with what its last name stands for elsewhere."""
        question, plan = reply.question, reply.plan
        assert question is not None
        assert plan is not None
        if plan.outside is None:
            answer = await self._ask(query, udp=udp)
            return answer or error_message(question, wire.SERVFAIL, wire.RA)
        kind = question.type if question.type in (wire.A, wire.AAAA) else wire.A
        inner = HEADER.pack(0, wire.RD, 1, 0, 0, 0) + plan.outside + kind.to_bytes(2) + wire.IN.to_bytes(2)
        answer = await self._ask(inner, udp=False)
        records = answer_records(answer, len(inner))[:RECORDS_MAX] if answer else []
        if not records:
            return reply.data
        more = replace(plan, tiers=(*plan.tiers, (Group(b"".join(records), len(records)),)))
        return answerer.assemble(more, question, udp)

    async def _ask(self, query: bytes, *, udp: bool) -> bytes | None:
        """The first answer, under the number of the query; None if no server gives any. Over TCP if it is cut off."""
        number = self._clock.token(2)
        sent = number + query[2:]
        for address in self._addresses:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    answer = await _ask_by_datagram(address, sent)
                    if answer[2] & wire.TC >> 8 and not udp:
                        answer = await _ask_by_stream(address, sent)
            except (TimeoutError, OSError, asyncio.IncompleteReadError):
                continue
            return query[:2] + answer[2:]
        return None


async def _ask_by_datagram(address: Address, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    info = await loop.getaddrinfo(*address, type=socket.SOCK_DGRAM)
    with socket.socket(info[0][0], socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, info[0][4])
        await loop.sock_sendall(sock, query)
        for _ in range(_WRONG_MAX):
            answer = await loop.sock_recv(sock, _MESSAGE_MAX)
            if _answers(answer, query):
                return answer
    raise TimeoutError


async def _ask_by_stream(address: Address, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(len(query).to_bytes(2) + query)
        await writer.drain()
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
    finally:
        writer.transport.abort()
    if not _answers(answer, query):
        raise OSError(f"{address} answered something else")
    return answer


def _answers(answer: bytes, query: bytes) -> bool:
    """Whether a message is an answer to that very query: the number, and the question if it is repeated."""
    if len(answer) < HEADER_SIZE or answer[:2] != query[:2] or not answer[2] & 0x80:
        return False
    if answer[4:6] == b"\0\0":
        return answer[3] & 0x0F != wire.NOERROR
    end = query.find(b"\0", HEADER_SIZE)
    return answer[HEADER_SIZE:end].lower() == query[HEADER_SIZE:end].lower()
