"""Waiting for a node to become a voter, with what it has got so far shown meanwhile."""

import sys
import threading
from typing import Any

import click

from raftreg.cli.client import Client, CommandFailed
from raftreg.clock import SystemClock
from raftreg.consensus.members import goes_by

_LOOK_S = 0.5
_CONNECTING_S = 30.0  # what a node may take to start and connect, on a busy machine
_GOES_ON = "the leader goes on by itself: see raftreg operator raft list"


def wait_for_voter(client: Client, member: str, timeout_s: float, *, left: str = _GOES_ON) -> list[str]:
    """Return when the member votes, with the warnings about the voters there are then.

    CommandFailed if it is gone or a standby, or the time is over, or by Ctrl-C. After that it may still become one.
    `left`: what is told of what comes then, or is left to do.
    """
    try:
        return _wait_for_voter(client, member, timeout_s, left)
    except KeyboardInterrupt:
        raise CommandFailed(f"not waiting any more for {member}; {left}") from None


def _wait_for_voter(client: Client, member: str, timeout_s: float, left: str) -> list[str]:
    clock, pause = SystemClock(), threading.Event()
    began = clock.now()
    shown = ""
    while True:
        state, warnings = _state(client, member)
        if state != shown:
            _show(state)
            shown = state
        if state == "voter":
            click.echo(f"{member} is a voter, after {clock.now() - began:.0f} s")
            return warnings
        if clock.now() - began >= timeout_s:
            raise CommandFailed(f"{member} is no voter yet ({state}); {left}")
        pause.wait(_LOOK_S)


def wait_until_it_waits(client: Client, name: str, timeout_s: float) -> None:
    """Return when a node that an operator calls so is connected, or is a member; or after 30 s, or the timeout.

    Whoever starts a node and adds it in one go is quicker than the node.
    """
    clock, pause = SystemClock(), threading.Event()
    end = clock.now() + min(timeout_s, _CONNECTING_S)
    told = False
    while True:
        table = client.get("/v1/raftreg/members").table("Members", "Strangers")
        if any(is_called(row, name) for row in [*table["Strangers"], *table["Members"]]):
            return
        if clock.now() >= end:
            return  # The node that is asked says what is wrong.
        if not told:
            told = True
            _show(f"no node {name} is connected yet; waiting for it")
        pause.wait(_LOOK_S)


def is_called(row: dict[str, Any], name: str) -> bool:
    """Whether an operator may call a node so; `row` is one of /v1/raftreg/members."""
    return goes_by(name, row["ID"], row["Name"], row["Address"])


def _state(client: Client, member: str) -> tuple[str, list[str]]:
    """What is to be told of a member now, and the warnings. CommandFailed if it is none any more, or a standby."""
    try:
        table = client.get("/v1/raftreg/members").table("Members", "Warnings")
    except CommandFailed as failed:
        return f"waiting: {failed}", []  # Perhaps a leader is being elected.
    for row in table["Members"]:
        if row["ID"] == member and row["Role"] == "standby":
            name = row["Name"]
            raise CommandFailed(
                f"{name} is a standby, which votes on nothing: raftreg operator raft promote {name}"
            )
        if row["ID"] == member:
            return _word(row), table["Warnings"]
    raise CommandFailed(f"{member} is no member any more: somebody removed it")


def _word(row: dict[str, Any]) -> str:
    if row["Role"] == "voter":
        return "voter"
    if not row["Connected"]:
        return "not connected to the leader"
    if row["CaughtUp"]:
        return "caught up; it becomes a voter when it stays so for some seconds"
    return f"catching up, {row['Lag']} entries behind"


def _show(state: str) -> None:
    """Progress is for people: it goes to standard error, each state on a line of its own."""
    if state != "voter":
        click.echo(f"  {state}", err=True)
        sys.stderr.flush()
