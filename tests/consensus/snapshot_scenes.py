"""Members with snapshots, and what goes between them."""

from pathlib import Path

import pytest

from tests.consensus.worlds import FakeClock, Host, app

NO_OP = b"\x01"


def filled(directory: Path, clock: FakeClock, member: str = "a", count: int = 30) -> Host:
    """A member whose leader sent it `count` commands, all committed, with a snapshot every ten entries."""
    host = Host(directory, clock, member=member, snapshot_entries=10)
    body = [(NO_OP, 1)] + [(app(b"%d" % number), 1) for number in range(count)]
    for start in range(0, len(body), 4):
        part = body[start : start + 4]
        host.append("b", 1, start + 1, 1 if start else 0, part, commit=start + 1 + len(part))
        host.engine.tick()
        host.sync()
        host.engine.tick()
    return host


def follow(host: Host, commands: list[bytes], leader: str = "b") -> None:
    """The leader's next commands, one entry each, all committed and applied."""
    last = host.engine.journal.last
    body = [(app(command), 1) for command in commands]
    host.append(leader, 1, last, 1, body, commit=last + len(body))
    host.engine.tick()
    host.sync()
    host.engine.tick()


def spoil(path: Path, place: int) -> None:
    """Turn a bit of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


def pump(sender: Host, receiver: Host, loss: int = 0) -> None:
    """Carry messages between a leader and a member until nothing moves; drop the first `loss` chunks."""
    for _ in range(200):
        moved = False
        for source, target in ((sender, receiver), (receiver, sender)):
            messages, source.sent = source.sent, []
            for member, message in messages:
                if member != target.member:
                    continue
                moved = True
                if message[0] == "S" and message[7] and loss:
                    loss -= 1
                    continue
                target.engine.receive(source.member, message)
            target.sync()
        receiver.engine.tick()
        sender.engine.tick()
        receiver.sync()
        sender.sync()
        if not moved:
            return
    raise AssertionError("the members never stop talking")


def long_log(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> tuple[Host, Host]:
    """A leader with a snapshot of many chunks whose log begins above what an empty member has."""
    monkeypatch.setattr("raftreg.consensus.snapshot_transfer.CHUNK_BYTES", 64)
    monkeypatch.setattr("raftreg.consensus.snapshot_transfer.WINDOW_BYTES", 256)
    leader = filled(tmp_path / "a", clock, count=60).lead()
    leader.ack("b")
    leader.engine.tick()
    return leader, Host(tmp_path / "c", clock, member="c")
