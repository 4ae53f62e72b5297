"""GET /: the cluster for people who look with a browser, as this node sees it. One page, no scripts, no other files."""

from html import escape

from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.members import role_of
from raftreg.registry import PeerStatus, Status, advice_on, is_silent, standing_outside, warnings_on

_REFRESH_S = 5
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.35em .8em .35em 0;border-bottom:1px solid #ddd}th{color:#666;font-weight:500}"
    ".bad{color:#b00020}.good{color:#1b7a3d}code,td.n{font-family:ui-monospace,monospace}li{margin:.3em 0}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#333}th{color:#999}"
    ".bad{color:#ff7b8a}.good{color:#6fcf97}}"
)


async def get_root(context: ApiContext, request: Request) -> Response:
    """GET /: who leads, the members and how they are, who waits, and what to do about it."""
    status = context.registry.consensus.status()
    body = _page(context.node_name, context.version, status)
    return Response(200, {"Content-Type": "text/html; charset=utf-8"}, body.encode())


def _page(node: str, version: str, status: Status) -> str:
    voters = sum(peer.voter for peer in status.peers)
    notes = advice_on(status) + warnings_on(status)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>raftreg: {escape(node)}</title>'
        f'<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="{_REFRESH_S}">'
        f"<style>{_STYLE}</style></head><body><h1>raftreg {escape(version)}, node {escape(node)}</h1>"
        f"<p>{_headline(status)}, term {status.term}, cluster {escape(status.cluster_id or 'none yet')}, "
        f"{_counted(voters)}, entry {status.applied_index} of {status.commit_index} applied here</p>"
        + _members(status)
        + _strangers(status)
        + _notes(notes)
        + "<p>This is what this node sees. The API is below <code>/v1/</code>; "
        '<a href="/v1/raftreg/status?pretty">/v1/raftreg/status</a>, '
        '<a href="/v1/raftreg/members?pretty">/v1/raftreg/members</a></p></body></html>\n'
    )


def _headline(status: Status) -> str:
    if standing_outside(status):
        return '<b class="bad">not a member</b>'
    leader = escape(status.leader_name or "")
    return f'<b class="good">{leader} leads</b>' if leader else '<b class="bad">no leader</b>'


def _counted(voters: int) -> str:
    return "1 voter" if voters == 1 else f"{voters} voters"


def _members(status: Status) -> str:
    leads = status.role == "leader"
    head = ("Member", "Role", "Address", "State", *(("Lag",) if leads else ()), "Id")
    rows = [_member_row(peer, status, leads) for peer in status.peers]
    return "<h2>Members</h2>" + _table(head, rows)


def _member_row(peer: PeerStatus, status: Status, leads: bool) -> list[str]:
    role = "leader" if peer.id and peer.id == status.leader_id else role_of(peer)
    here = peer.id == status.id
    silent = not here and is_silent(peer, status)
    state = '<span class="bad">not heard</span>' if silent else '<span class="good">alive</span>'
    lag = [] if not leads else [str(max(0, status.last_index - (peer.match_index or 0)))]
    return [escape(peer.name), role, escape(peer.address), state, *lag, escape(peer.id)]


def _strangers(status: Status) -> str:
    if not status.strangers:
        return ""
    rows = [
        [escape(node.name), escape(node.address), f"{node.connected_s:.0f} s", escape(node.id)]
        for node in status.strangers
    ]
    return "<h2>Nodes that wait</h2>" + _table(("Node", "Address", "Connected for", "Id"), rows)


def _notes(notes: list[str]) -> str:
    if not notes:
        return ""
    return "<h2>What to do</h2><ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """Cells of rows are HTML already."""
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"
