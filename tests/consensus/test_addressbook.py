"""Where members are reached, and what is told of members."""

import logging
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest

from raftreg.consensus import messages as m
from raftreg.consensus.addressbook import AddressBook
from raftreg.consensus.hello import Hello
from raftreg.consensus.journal import Placed
from raftreg.consensus.members import CONFIG, Members
from raftreg.consensus.settings import RaftSettings
from raftreg.consensus.told import Notice, notice, read_notice


def hello(name: str, raft: str) -> Hello:
    """A hello that says where its process is reached."""
    return Hello(1, "c", name, "a", "nonce", 1, {"raft": raft})


MEMBERS = Members("c", frozenset({"n1.a", "n2.a"}), addresses=(("n2.a", "hint:1"),))


def test_the_operator_comes_before_the_process_before_the_log_before_the_others() -> None:
    """Each is asked where the one before it knows nothing; others are told what the process says."""
    book = AddressBook({"n1": ("given", 1)})
    assert ("", None) == (book.text("n2.a"), book.of("n2.a"))
    book.told({"n2.a": "told:1", "n1.a": "told:2"})
    assert "told:1" == book.text("n2.a")
    book.hinted(MEMBERS)
    assert "hint:1" == book.text("n2.a")
    book.heard(hello("n2", "[::1]:8300"))
    assert ("[::1]:8300", ("::1", 8300)) == (book.text("n2.a"), book.of("n2.a"))
    book.heard(hello("n1", "n1:8300"))
    assert "given:1" == book.text("n1.a") == book.text("N1.a")
    assert {"n1.a": "n1:8300", "n2.a": "[::1]:8300"} == book.texts(["n2.a", "n1.a", "n9.a"])


def test_what_was_said_before_a_restart_holds_until_somebody_knows_better() -> None:
    """All may have moved since the member set was written; who moved since then is known to others, or says so."""
    book = AddressBook({}, {"n2.a": "before:1", "n3.a": "before:2"})
    book.hinted(MEMBERS)
    assert {"n2.a": "before:1", "n3.a": "before:2"} == book.texts(["n2.a", "n3.a"])
    book.told({"n2.a": "told:1"})
    assert "told:1" == book.text("n2.a")
    book.heard(hello("n2", "said:1"))
    assert "said:1" == book.text("n2.a")
    book.keep(["n2.a"])
    assert "" == book.text("n3.a")


@pytest.mark.parametrize("junk", ["", ":8300", "host", "host:0", "host:x", "a b:1"])
def test_what_is_no_address_is_ignored(junk: str) -> None:
    """A node that does not know where it is reached says nothing of use."""
    book = AddressBook({})
    book.told({"n2.a": "told:1"})
    book.heard(hello("n2", junk))
    assert "told:1" == book.text("n2.a")


def test_addresses_of_others_are_forgotten() -> None:
    """Those of a set that is gone, too."""
    book = AddressBook({})
    book.heard(hello("n2", "h:1"))
    book.told({"n3.a": "h:2"})
    book.hinted(MEMBERS)
    book.hinted(Members("c", frozenset({"n1.a"})))
    book.keep(["n3.a"])
    assert ("", "h:2") == (book.text("n2.a"), book.text("n3.a"))


@pytest.mark.parametrize(
    ("listen", "peers", "advertise", "said"),
    [
        (("127.0.0.1", 1), {}, "", "127.0.0.1:1"),
        (("0.0.0.0", 1), {}, "", ":1"),
        (("0.0.0.0", 1), {"n1": ("::1", 2)}, "", "[::1]:2"),
        (("0.0.0.0", 1), {"n1": ("::1", 2)}, "h:3", "h:3"),
    ],
)
def test_what_a_node_says_of_itself(
    listen: tuple[str, int], peers: dict[str, tuple[str, int]], advertise: str, said: str, tmp_path: Path
) -> None:
    """What it was told to say, else its own entry among the peers, else where it listens."""
    assert said == RaftSettings("n1", tmp_path, listen, peers, None, advertise=advertise).reached_at


def test_a_member_set_is_told_and_read() -> None:
    """With its place in the log and the addresses."""
    placed = Placed(2, 7, MEMBERS)
    later = replace(placed, index=placed.index + 1)
    for told in (Notice(placed, {"n1.a": "h:1"}), Notice(placed, {}, later)):
        assert told == read_notice(msgpack.unpackb(msgpack.packb(notice(told))))


@pytest.mark.parametrize(
    "junk",
    [
        [m.MEMBERS],
        [m.MEMBERS, "x", 1, MEMBERS.encode(), {}],
        [m.MEMBERS, 1, 1, b"junk", {}],
        [m.MEMBERS, 1, 1, CONFIG + b"\xff", {}],
        [m.MEMBERS, 1, 1, MEMBERS.encode(), None],
        [m.MEMBERS, 1, 1, 7, {}],
    ],
)
def test_what_is_no_member_set_is_left(junk: list[object], caplog: pytest.LogCaptureFixture) -> None:
    """A newer version may say it differently: it is logged, and all goes on."""
    with caplog.at_level(logging.WARNING):
        assert read_notice(junk) is None
    assert "is not understood" in caplog.text
