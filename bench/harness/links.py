"""The connections between the nodes of a cluster, led through proxies (raftreg.verify.wires), to be cut."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raftreg.verify.wires import Wires

NOBODY = ""


@dataclass(frozen=True, slots=True)
class Links:
    """`names` are the nodes by their numbers."""

    wires: Wires
    names: Sequence[str]

    def isolate(self, number: int) -> None:
        """No byte gets from or to a node any more; connections stay, as when a cable is pulled."""
        alone = self.names[number]
        others = [name for name in self.names if name != alone]
        self.wires.hold([pair for other in others for pair in ((alone, other), (other, alone))])

    def heal(self) -> None:
        """What was held arrives, and everything passes."""
        self.wires.heal()


def dialer(port: int, pids: Mapping[str, int]) -> str:
    """The name of the process that has a TCP connection from this port of loopback; NOBODY if it is none (Linux)."""
    inodes = {
        fields[9]
        for table in ("tcp", "tcp6")
        for fields in _rows(Path("/proc/net", table))
        if int(fields[1].rpartition(":")[2], 16) == port
    }
    sockets = {f"socket:[{inode}]" for inode in inodes - {"0"}}
    for name, pid in pids.items():
        if any(_target(path) in sockets for path in _files(pid)):
            return name
    return NOBODY


def _rows(table: Path) -> list[list[str]]:
    return [line.split() for line in table.read_text("ascii").splitlines()[1:]] if table.exists() else []


def _files(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return []  # It ended meanwhile.


def _target(path: Path) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""  # It was closed meanwhile.
