"""Connections to targets, with failures in the words of Go's net package, which people know from Consul's outputs."""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from raftreg.addresses import Address
from raftreg.checks.names import Resolver

T = TypeVar("T")
TIMED_OUT: Final = "i/o timeout"
# What this process or machine has run out of.
OWN_WANT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN})


class ProbeFailed(Exception):
    """The target could not be asked, or gave no answer. The message is the output of the check."""


class NotProbed(Exception):
    """This node has not the means to ask now. That says nothing about the target."""


class DialTimedOut(ProbeFailed):
    """No connection in time."""


@dataclass(slots=True)
class Attempt:
    """How far a connection came: for the message when the time is over."""

    where: str


def split_target(network: str, text: str) -> Address:
    """`host:port`, IPv6 in brackets. ProbeFailed in Go's words for anything else."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ProbeFailed(f"dial {network}: address {text}: too many colons in address")
    if not colon:
        raise ProbeFailed(f"dial {network}: address {text}: missing port in address")
    return Address(host or "localhost", _port(network, port))


def _port(network: str, text: str) -> int:
    """A number, or the name of a service in /etc/services."""
    if text.isascii() and text.isdigit():
        if int(text) > 65535:
            raise ProbeFailed(f"dial {network}: address {text}: invalid port")
        return int(text)
    try:
        return socket.getservbyname(text, network)
    except (OSError, ValueError):
        raise ProbeFailed(f"dial {network}: address {network}/{text}: unknown port") from None


async def dial(
    resolver: Resolver,
    network: str,
    target: Address,
    timeout_s: float,
    connect: Callable[[str], Awaitable[T]],
) -> T:
    """What `connect` gives for the first of the target's addresses that takes a connection.

    Raises ProbeFailed with the reason of the first address, also when `timeout_s` is over; NotProbed if this node
    has no socket left.
    """
    attempt = Attempt(f"dial {network}: lookup {target.host}")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    first: ProbeFailed | None = None
    try:
        async with asyncio.timeout_at(deadline):
            addresses = await _addresses(resolver, network, target.host)
        for number, address in enumerate(addresses):
            attempt.where = f"dial {network} {Address(address, target.port)}"
            share_s = (deadline - loop.time()) / (len(addresses) - number)
            try:
                async with asyncio.timeout(share_s):
                    return await connect(address)
            except TimeoutError as error:
                failed = DialTimedOut if error.errno is None else ProbeFailed
                first = first or failed(f"{attempt.where}: {_reason(error)}")
            except ssl.SSLError:
                raise
            except OSError as error:
                if error.errno in OWN_WANT:
                    raise NotProbed(system_text(error)) from None
                first = first or ProbeFailed(f"{attempt.where}: {_reason(error)}")
    except TimeoutError:
        raise first or DialTimedOut(f"{attempt.where}: {TIMED_OUT}") from None
    raise first or ProbeFailed(f"dial {network}: lookup {target.host}: no such host")


async def _addresses(resolver: Resolver, network: str, host: str) -> list[str]:
    try:
        return await resolver.addresses(host)
    except TimeoutError:
        raise
    except OSError:
        check_files()
        raise ProbeFailed(f"dial {network}: lookup {host}: no such host") from None


def check_files() -> None:
    """NotProbed if this process can open no file: the resolver, which cannot say so, could not either."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        raise NotProbed(system_text(error)) from None


def _reason(error: OSError) -> str:
    """Why a connection could not be made. A timeout of our own has no number, one of the system's has."""
    if error.errno is None:
        return TIMED_OUT if isinstance(error, TimeoutError) else str(error)
    return f"connect: {system_text(error)}"


def system_text(error: OSError) -> str:
    """The system's words for an error, as Go writes them."""
    return os.strerror(error.errno).lower() if error.errno is not None else str(error)
