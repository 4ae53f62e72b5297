"""Whether this node can have the ports that it wants, and if not, who has them."""

import contextlib
import errno
import os
import socket
from pathlib import Path

from raftreg.addresses import Address
from raftreg.errors import StartRefused

_TABLES = (
    ("tcp", "0A"),
    ("tcp6", "0A"),
    ("udp", "07"),
    ("udp6", "07"),
)  # in /proc/net, and the state to look for


def check_free(address: Address, purpose: str) -> None:
    """StartRefused with one line if nothing could listen at `address` now.

    `purpose` names what would listen there, with the setting that changes it, such as "HTTP (--http)". Whoever listens
    then must still expect that somebody was faster.
    """
    if address.port == 0:
        return
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise StartRefused(f"{purpose}: the host of {address} is not known: {error.strerror}") from None
    with socket.socket(family, kind, protocol) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            # Two sockets with SO_REUSEADDR may share a port until one listens.
            probe.listen(1)
        except OSError as error:
            raise StartRefused(f"{purpose}: {refusal(address, error)}") from None


def refusal(address: Address, error: OSError) -> str:
    """Why `address` could not be bound, and what to do."""
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(address.port)
        return f"{address} is taken{f' by {holder}' if holder else ''}: stop that, or choose another address"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is no address of this machine: 0.0.0.0 listens on all that it has"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{address} may not be bound by this user: ports below 1024 need root"
    return f"{address} cannot be bound: {error.strerror}"


def holder_of(port: int) -> str | None:
    """`process 4711 (name)` that has the TCP or UDP port, if this process may know it (Linux only)."""
    inodes = {
        fields[9]
        for table, state in _TABLES
        for fields in _rows(Path("/proc/net", table))
        if fields[3] == state and int(fields[1].rpartition(":")[2], 16) == port
    }
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        if wanted & _links(process / "fd"):
            return f"process {process.name} ({_name(process)})"
    return None


def _rows(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text("ascii").splitlines()[1:]]
    except OSError:
        return []


def _links(folder: Path) -> set[str]:
    """Where the links in a folder point; those that are gone or forbidden are left out."""
    links: set[str] = set()
    try:
        names = os.listdir(folder)
    except OSError:
        return links
    for name in names:
        with contextlib.suppress(OSError):
            links.add(os.readlink(folder / name))
    return links


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "unknown"
