"""`raftreg session`: who may hold locks."""

import click

from raftreg.cli import table
from raftreg.cli.client import CommandFailed
from raftreg.cli.options import client_for, http_address
from raftreg.durations import format_duration


@click.group()
def session() -> None:
    """Look at sessions, and end them.

    \b
      raftreg session list
      raftreg session destroy 5d4e...
    """


@session.command(name="list")
@click.option("--node", metavar="NAME", help="Only the sessions of this node.")
@http_address
def list_sessions(node: str | None, http_addr: str | None) -> None:
    """Print the sessions there are.

    \b
      raftreg session list
      raftreg session list --node n1
    """
    path = "/v1/session/list" if node is None else f"/v1/session/node/{node}"
    rows = client_for(http_addr).get(path).rows()
    shown = [
        (
            row["ID"],
            row["Name"] or "-",
            row["Node"],
            row["TTL"] or "-",
            row["Behavior"],
            format_duration(row["LockDelay"] / 1e9),
        )
        for row in rows
    ]
    table.show(("ID", "Name", "Node", "TTL", "Behavior", "LockDelay"), shown)


@session.command()
@click.argument("session_id", metavar="ID")
@http_address
def destroy(session_id: str, http_addr: str | None) -> None:
    """End session ID and give back its locks.

    The keys that it holds are released, or deleted if it was created so.

    \b
      raftreg session destroy 5d4e1f2a-0000-0000-0000-000000000000
    """
    client = client_for(http_addr)
    known = client.get(f"/v1/session/info/{session_id}").rows()
    if not known:
        raise CommandFailed(f"there is no session {session_id}")
    client.call("PUT", f"/v1/session/destroy/{session_id}")
    click.echo(f"ended {session_id}")
