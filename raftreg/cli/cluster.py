"""`raftreg members` and `raftreg status`: who is in the cluster, and how each one is."""

from dataclasses import dataclass, replace
from typing import Any

import click

from raftreg.addresses import Address
from raftreg.cli import table
from raftreg.cli.client import Client, CommandFailed, address_from
from raftreg.cli.options import client_for, http_address
from raftreg.errors import RaftregError

_MEMBER_STATES = {1: "alive", 2: "leaving", 3: "left", 4: "failed"}


@click.command(short_help="Print the nodes of the cluster.")
@http_address
def members(http_addr: str | None) -> None:
    """Print the nodes of the cluster, as the node that is asked sees them."""
    found = client_for(http_addr).get("/v1/agent/members").rows()
    rows = [
        (member["Name"], member["Addr"], member["Port"], _MEMBER_STATES.get(member["Status"], "unknown"))
        for member in found
    ]
    table.show(("Node", "Address", "Port", "State"), rows)


@dataclass(frozen=True, slots=True)
class _Row:
    """One node in the table; `view` is its own status, None if it could not be asked."""

    name: str
    address: Address | None
    view: dict[str, Any] | None
    problem: str
    voter: bool = True


@click.command()
@http_address
def status(http_addr: str | None) -> None:
    """Print role, term, indexes, lag and health of each node. Any node can be asked.

    Lag is how many log entries a node has yet to apply, of those that are known to be committed. Exit code 1 if there
    is no leader, or if the cluster would not survive the loss of one more node.

    \b
      raftreg status
      raftreg status --http-addr 10.0.0.2:8500
    """
    asked = address_from(http_addr)
    own = Client(asked).get("/v1/raftreg/status").table("Node", "Peers")
    rows = [_ask(peer, own, asked) for peer in own["Peers"]]
    committed = max((row.view["CommitIndex"] for row in rows if row.view is not None), default=0)
    table.show(
        ("Node", "HTTP", "Role", "Term", "Commit", "Applied", "Lag", "Health"),
        [_cells(row, committed) for row in rows]
        + [_waiting_cells(node) for node in own.get("Strangers", ())],
    )
    for note in [*own.get("Advice", ()), *own.get("Warnings", ())]:
        click.echo(f"note: {note}")
    level = own.get("FeatureLevel")  # Former releases tell none.
    raised = "" if level is None else f"feature level {level}, "
    cluster = own["ClusterID"] or ("none yet" if own.get("Role") == "starting" else "in memory")
    click.echo(f"cluster {cluster}, {raised}leader {own['Leader'] or 'none'}")
    _judge(own, rows)


def _ask(peer: dict[str, Any], own: dict[str, Any], asked: Address) -> _Row:
    """The status of one peer, from itself."""
    return replace(_asked(peer, own, asked), voter=bool(peer["Voter"]))


def _asked(peer: dict[str, Any], own: dict[str, Any], asked: Address) -> _Row:
    if peer["Name"] == own["Node"]:
        return _Row(peer["Name"], asked, own, "" if own["Ready"] else "not ready")
    http = peer.get("HTTP")
    try:
        address = address_from(http) if http else None
        if address is None:
            return _Row(peer["Name"], None, None, "connected" if peer["Connected"] else "not connected")
        view = Client(address).get("/v1/raftreg/status").table()
    except RaftregError:
        return _Row(peer["Name"], address_from(http), None, "no answer" if peer["Connected"] else "lost")
    return _Row(peer["Name"], address, view, "" if view["Ready"] else "not ready")


def _cells(row: _Row, committed: int) -> tuple[object, ...]:
    if row.view is None:
        return (row.name, row.address, None, None, None, None, None, row.problem)
    view = row.view
    lag = max(0, committed - view["AppliedIndex"])
    health = row.problem or "ok"
    return (
        row.name,
        row.address,
        view["Role"] if row.voter or view["Role"] == "starting" else "learner",
        view["Term"],
        view["CommitIndex"],
        view["AppliedIndex"],
        lag,
        health,
    )


def _waiting_cells(node: dict[str, Any]) -> tuple[object, ...]:
    """A node that is connected and no member."""
    return (node["Name"], None, "stranger", None, None, None, None, "waits to be let in")


def _judge(own: dict[str, Any], rows: list[_Row]) -> None:
    """CommandFailed if the cluster cannot write, or one more loss would stop it."""
    if not own["Leader"] and own["Node"] not in {peer["Name"] for peer in own["Peers"]}:
        raise CommandFailed(f"{own['Node']} is no member: ask a node that is one; its own log says more")
    if not own["Leader"]:
        hint = "the notes above say what to do" if own.get("Advice") else "see the logs of the nodes"
        raise CommandFailed(f"there is no leader: nothing can be written; {hint}")
    voters = [peer["Name"] for peer in own["Peers"] if peer["Voter"]]
    well = [row.name for row in rows if row.name in voters and row.problem in ("", "connected")]
    majority = len(voters) // 2 + 1
    if len(voters) > 1 and len(well) < majority:
        raise CommandFailed(f"only {len(well)} of {len(voters)} nodes are well: that is no majority")
    if len(voters) > 2 and len(well) == majority:
        lost = ", ".join(name for name in voters if name not in well)
        raise CommandFailed(f"{lost} is not well: the loss of one more node would stop the cluster")
