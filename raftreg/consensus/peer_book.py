"""The newest process seen of each member, so that a member that comes back from an old copy is recognised.

Each start of a data directory that came to act as its member has a number that only grows, and a nonce. A member that
shows a lower number, or the same number with another nonce, runs on a restored backup or on a copy: it may have
forgotten votes and acknowledged writes that the cluster counts on, so it must not take part under its old identity.

Where it was reached last is kept too: all may have moved since the member set with its hints was written, and a node
that starts with the others knows nothing newer.

The book is written by another thread after a new process began to act. A crash right before that forgets that one
observation, which is as if the two nodes had not met.
"""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

from raftreg.consensus.addressbook import RAFT
from raftreg.consensus.disk import Disk, SyncFailed
from raftreg.consensus.files import read_checked, write_checked
from raftreg.consensus.hello import Hello
from raftreg.errors import Damaged, StartRefused

logger = logging.getLogger(__name__)

MAGIC = b"RAFTRPRS"
VERSION = 1
REMEDY = "Only the memory of restored backups is in it: if none was restored lately, delete the file and start again"


class PeerBook:
    """member id -> (greatest count of starts, its nonce, its address as it said), in a checked file."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        """Reads the file if there is one. Raises Damaged or StartRefused."""
        self._path = path
        self._disk = disk
        self._seen: dict[str, tuple[int, str, str]] = {}
        self._writing: asyncio.Future[None] | None = None
        self._changed = False
        try:
            value = read_checked(path, MAGIC, VERSION, REMEDY, disk=disk)
        except FileNotFoundError:
            return
        if not isinstance(value, dict):
            raise Damaged(str(path), 0, "not a table", REMEDY)
        for member_id, seen in value.items():
            # Without an address if an earlier version wrote it.
            self._seen[str(member_id)] = (int(seen[0]), str(seen[1]), str(seen[2]) if len(seen) > 2 else "")

    @property
    def addresses(self) -> dict[str, str]:
        """Where each member said last that it is reached, host:port; those that said nothing are left out."""
        return {member: address for member, (_, _, address) in self._seen.items() if address}

    def judge(self, hello: Hello) -> str | None:
        """None if no newer process of that member was seen, else a refusal."""
        starts, nonce, _ = self._seen.get(hello.member_id, (-1, "", ""))
        if hello.starts < starts or (hello.starts == starts and hello.nonce != nonce):
            return (
                f"the data directory of {hello.member_id} is an old copy: it says start {hello.starts}, but start "
                f"{starts} was seen already. What it promised since is lost. Bring back the newest data directory; "
                "meanwhile the other members go on without this node"
            )
        return None

    def note(self, hello: Hello) -> None:
        """A process that was judged well begins to act."""
        seen = hello.starts, hello.nonce, hello.advertise.get(RAFT, "")
        if self._seen.get(hello.member_id) != seen:
            self._seen[hello.member_id] = seen
            self._changed = True
            self._write_soon()

    def keep(self, members: Iterable[str]) -> None:
        """Forget all others: they are in no member set that counts or may come to count, and not connected.

        One of them that is added again begins as a learner that acknowledged nothing, in terms above those in which it
        may have voted.
        """
        gone = set(self._seen) - set(members)
        for member in gone:
            del self._seen[member]
        if gone:
            self._changed = True
            self._write_soon()

    async def close(self) -> None:
        """Return when everything is written."""
        while self._writing is not None:
            await asyncio.wait([self._writing])
            await asyncio.sleep(0)  # Lets the callback that may begin the next write run.

    def _write_soon(self) -> None:
        if self._writing is not None:
            return
        self._changed = False
        loop = asyncio.get_running_loop()
        rows: dict[str, list[object]] = {member_id: list(seen) for member_id, seen in self._seen.items()}
        self._writing = loop.run_in_executor(None, self._write, rows)
        self._writing.add_done_callback(self._written)

    def _write(self, rows: dict[str, list[object]]) -> None:
        try:
            write_checked(self._path, MAGIC, VERSION, rows, disk=self._disk)
        except (StartRefused, SyncFailed) as error:
            logger.warning("not noted which starts of its peers this node has seen: %s", error)

    def _written(self, _: asyncio.Future[None]) -> None:
        self._writing = None
        if self._changed:
            self._write_soon()
