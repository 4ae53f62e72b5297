"""`raftreg operator raft`: who is in the cluster, and the changes of that."""

from typing import Any

import click

from raftreg.cli import table
from raftreg.cli.catching_up import is_called, wait_for_voter, wait_until_it_waits
from raftreg.cli.client import Client, CommandFailed
from raftreg.cli.options import client_for, http_address

MEMBERS = "/v1/raftreg/members"
_PATIENCE_S = 600.0
_SILENT_S = 1.0  # The leader takes a member that it has not heard for longer for dead.

_timeout = click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=_PATIENCE_S,
    help=f"How long to wait for the node to become a voter.  [{_PATIENCE_S:g}]",
)
_no_wait = click.option("--no-wait", is_flag=True, help="Do not wait until it is a voter.")
_standby = click.option(
    "--standby", is_flag=True, help="It stays a learner: it has everything and votes on nothing."
)


@click.group()
def operator() -> None:
    """For those who run the cluster."""


@operator.group()
def raft() -> None:
    """The members of the cluster.

    A node may be called by its name, its id, or its Raft address. Any node can be asked.

    \b
      raftreg operator raft list
      raftreg operator raft add n4
      raftreg operator raft remove n2
      raftreg operator raft replace n3
    """


@raft.command(name="list")
@click.option("--stale", is_flag=True, help="As the node that is asked sees them, leader or not.")
@http_address
def list_members(stale: bool, http_addr: str | None) -> None:
    """Print the members, the nodes that wait to be let in, and what to do about them.

    Lag is how many entries of the log a member is known to lack; only the leader knows.
    """
    shown = _members(client_for(http_addr), stale=stale)
    rows = [_member_cells(row) for row in shown["Members"]]
    rows += [
        (
            row["Name"],
            "stranger",
            f"waits {row['ConnectedSeconds']:.0f}s",
            None,
            "now",
            row["Address"],
            row["ID"],
        )
        for row in shown["Strangers"]
    ]
    table.show(("Node", "Role", "State", "Lag", "Heard", "Address", "Id"), rows)
    count = sum(row["Role"] == "voter" for row in shown["Members"])
    voters = "1 voter" if count == 1 else f"{count} voters"
    click.echo(f"cluster {shown['ClusterID'] or 'in memory'}, leader {shown['Leader'] or 'none'}, {voters}")
    _say([*shown["Advice"], *shown["Warnings"]])


def _members(client: Client, *, stale: bool = False) -> dict[str, Any]:
    shown = client.get(MEMBERS, {"stale": stale})
    return shown.table("Members", "Strangers", "Advice", "Warnings", "Leader", "ClusterID")


def _member_cells(row: dict[str, Any]) -> tuple[object, ...]:
    role = "leader" if row["Leader"] else row["Role"]
    heard = row["LastContactSeconds"]
    state = "connected" if row["Connected"] else "not connected"
    if row["Role"] == "learner" and row["CaughtUp"] is not None:
        state = "caught up" if row["CaughtUp"] else "catching up" if row["Connected"] else state
    ago = "never" if heard is None else "now" if heard < 1 else f"{heard:.0f}s ago"
    return (row["Name"], role, state, row["Lag"], ago, row["Address"], row["ID"])


def _say(lines: list[str]) -> None:
    for line in lines:
        click.echo(f"note: {line}")


@raft.command()
@click.argument("name")
@_standby
@_no_wait
@_timeout
@http_address
def add(name: str, standby: bool, no_wait: bool, timeout_s: float, http_addr: str | None) -> None:
    """Add the node NAME, which was started with --join and waits.

    It becomes a learner, gets everything there is, and is made a voter by the leader once it keeps up. The command
    waits for that. With --standby it stays a learner; a member that is to vote has to be removed before it can be one.

    \b
      raftreg agent --node n4 --data-dir D --raft 10.0.0.4:8300 --join 10.0.0.1:8300
      raftreg operator raft add n4
    """
    client = client_for(http_addr)
    if not no_wait:
        wait_until_it_waits(client, name, timeout_s)
    changed = _change(client, "add", {"Member": name, "Standby": standby})
    _tell(changed, f"added {changed['Member']}", f"{changed['Member']} is a member already")
    if not standby and not no_wait:
        _say(wait_for_voter(client, changed["Member"], timeout_s))


@raft.command()
@click.argument("name")
@http_address
def promote(name: str, http_addr: str | None) -> None:
    """Make the learner NAME a voter now. The leader does so by itself, but for standbys."""
    changed = _change(client_for(http_addr), "promote", {"Member": name})
    _tell(changed, f"{changed['Member']} is a voter", f"{changed['Member']} is a voter already")


@raft.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Remove a node that is well though another is not.")
@http_address
def remove(name: str, force: bool, http_addr: str | None) -> None:
    """Remove the member NAME for good, the leader too. Its process is to be stopped, and its data may go.

    Refused if the others could not go on: without a majority that is well, or the last voter.
    """
    changed = _change(client_for(http_addr), "remove", {"Member": name, "Force": force})
    _tell(changed, f"removed {changed['Member']}: stop it if it runs", f"{changed['Member']} is no member")


@raft.command()
@click.argument("old")
@click.argument("new", required=False)
@click.option(
    "--standby/--voter",
    default=None,
    help="It stays a learner, or becomes a voter.  [as it was with OLD]",
)
@click.option("--force", is_flag=True, help="Replace a node that is well though another is not.")
@_no_wait
@_timeout
@http_address
def replace(
    old: str,
    new: str | None,
    standby: bool | None,
    force: bool,
    no_wait: bool,
    timeout_s: float,
    http_addr: str | None,
) -> None:
    """Have NEW, which was started with --join and waits, take the place of the member OLD.

    Without NEW it is a node of the same name: one that lost its disk, or its host. While OLD is well, NEW becomes a
    voter first and OLD is removed then, so that nothing is risked; if that is interrupted, run the same command
    again. If OLD is lost, both are one step. Who comes for a standby is one.

    \b
      raftreg operator raft replace n3
      raftreg operator raft replace n1 n4
    """
    client = client_for(http_addr)
    if new is not None and not no_wait:
        wait_until_it_waits(client, new, timeout_s)
    if new is not None and not standby:
        rows = _members(client)["Members"]
        living = _living(rows, old, new)
        if living is not None:
            if not force:
                _check_others_live(rows, living)
            _replace_living(client, living, new, force, no_wait, timeout_s)
            return
    body: dict[str, object] = {"Old": old, "New": new or ""}
    if standby is not None:
        body["Standby"] = standby
    if force:
        body["Force"] = True
    changed = _change(client, "replace", body)
    _tell(
        changed,
        f"{changed['Member']} takes the place of {changed['Old']}",
        f"{changed['Member']} has taken its place already",
    )
    if not changed.get("Standby", standby) and not no_wait:  # Former releases do not say.
        _say(wait_for_voter(client, changed["Member"], timeout_s))


def _living(rows: list[dict[str, Any]], old: str, new: str) -> dict[str, Any] | None:
    """The voter that is called `old`, if it is connected and `new` is somebody else."""
    found = [row for row in rows if is_called(row, old)]
    if len(found) != 1 or found[0]["Role"] != "voter" or not found[0]["Connected"]:
        return None
    return None if is_called(found[0], new) else found[0]


def _check_others_live(rows: list[dict[str, Any]], living: dict[str, Any]) -> None:
    """Refuse before anybody is added what the leader would refuse when the new one votes, in its words."""
    if _is_silent(living):
        return
    old = living["Name"]
    dead = [
        row["Name"] for row in rows if row["Role"] == "voter" and (not row["Connected"] or _is_silent(row))
    ]
    if dead:
        raise CommandFailed(
            f"{old} is alive and {', '.join(dead)} is not: remove or replace {dead[0]} first "
            f"(with --force {old} goes all the same, and one more loss may stop the cluster)"
        )


def _is_silent(row: dict[str, Any]) -> bool:
    heard = row["LastContactSeconds"]
    return not row["Leader"] and (heard is None or heard > _SILENT_S)


def _replace_living(
    client: Client, living: dict[str, Any], new: str, force: bool, no_wait: bool, timeout_s: float
) -> None:
    old = living["Name"]
    if no_wait:
        raise CommandFailed(
            f"{old} is well: it is removed once {new} is a voter, which is waited for. Leave --no-wait out, or add "
            f"{new} and remove {old} yourself"
        )
    changed = _change(client, "add", {"Member": new})
    _tell(changed, f"added {changed['Member']}", f"{changed['Member']} is a member already")
    left = f"{old} is not removed yet, and nobody does that by itself: run the same command again"
    wait_for_voter(client, changed["Member"], timeout_s, left=left)
    removed = _change(client, "remove", {"Member": living["ID"], "Force": force})
    _tell(removed, f"removed {removed['Member']}: stop it", f"{removed['Member']} is no member")


@raft.command(name="transfer-leader")
@click.argument("name", required=False)
@http_address
def transfer_leader(name: str | None, http_addr: str | None) -> None:
    """Have the voter NAME lead, or without one whichever knows most."""
    answer = client_for(http_addr).call("POST", "/v1/operator/raft/transfer-leader", {"id": name})
    click.echo(f"{answer.table('Leader')['Leader']} leads")


def _change(client: Client, kind: str, body: dict[str, object]) -> dict[str, Any]:
    return client.post(f"{MEMBERS}/{kind}", body).table("Member", "Old", "Changed", "Warnings")


def _tell(changed: dict[str, Any], done: str, already: str) -> None:
    click.echo(done if changed["Changed"] else already)
    _say(changed["Warnings"])
