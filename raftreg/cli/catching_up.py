"""Waiting for a node to become a voter, with what it has got so far shown meanwhile."""

import sys
import threading
from typing import Any

import click

from raftreg.cli.client import Client, CommandFailed
from raftreg.clock import SystemClock

_LOOK_S = 0.5


def wait_for_voter(client: Client, member: str, timeout_s: float) -> None:
    """Return when the member votes. CommandFailed if it is gone, or the time is over; it may still become one then."""
    clock, pause = SystemClock(), threading.Event()
    began = clock.now()
    shown = ""
    while True:
        state = _state(client, member)
        if state != shown:
            _show(state)
            shown = state
        if state == "voter":
            click.echo(f"{member} is a voter, after {clock.now() - began:.0f} s")
            return
        if clock.now() - began >= timeout_s:
            raise CommandFailed(
                f"{member} is no voter yet ({state}); the leader goes on by itself: see raftreg operator raft list"
            )
        pause.wait(_LOOK_S)


def _state(client: Client, member: str) -> str:
    """What is to be told of a member now. CommandFailed if it is none any more."""
    try:
        table = client.get("/v1/raftreg/members").table("Members")
    except CommandFailed as failed:
        return f"waiting: {failed}"  # Perhaps a leader is being elected.
    for row in table["Members"]:
        if row["ID"] == member:
            return _word(row)
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
