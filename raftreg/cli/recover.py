"""`raftreg recover`: the majority is lost for ever; a new cluster is made from one data directory that survived."""

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from raftreg.cli import table
from raftreg.cli.client import CommandFailed
from raftreg.clock import SystemClock
from raftreg.registry.recovering import Remains


@click.command(short_help="Make a new cluster from what one node has, when the majority is lost for ever.")
@click.option(
    "--data-dir",
    "directories",
    metavar="DIR",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A data directory that survived; more than one to compare them.",
)
@click.option("--from-this-node", is_flag=True, help="Make the new cluster from the first of them.")
@click.option(
    "--yes-i-understand", "word", metavar="WORD", help="The word that is asked for otherwise, for scripts."
)
def recover(directories: tuple[Path, ...], from_this_node: bool, word: str | None) -> None:
    """Show what data directories of stopped nodes hold, and make a new cluster from the first of them.

    For the loss of a majority of the voters for good, and for nothing else: if one more of them can be brought back,
    bring that back. Writes that were acknowledged and are not in this directory are lost. The new cluster has another
    id, so that former members cannot come back into it by accident.

    \b
      raftreg recover --data-dir /var/lib/raftreg --data-dir /mnt/n2/raftreg
      raftreg recover --from-this-node --data-dir /var/lib/raftreg
    """
    with ExitStack() as stack:
        remains = [stack.enter_context(Remains(path, SystemClock())) for path in directories]
        _show(remains)
        first = remains[0]
        if not from_this_node:
            click.echo(f"\nNothing was changed. {_next_step(remains)}")
            return
        _check_first(remains)
        _warn(first)
        _ask(first.survivor.cluster_id, word)
        cluster_id, former = first.make_cluster()
        _say_what_now(first, cluster_id, former)


def _show(remains: list[Remains]) -> None:
    rows = []
    for one in remains:
        survivor, contents = one.survivor, one.contents
        written = datetime.fromtimestamp(survivor.written_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        rows.append(
            (
                *(survivor.path, survivor.name, survivor.cluster_id, survivor.last_index, survivor.last_term),
                *(survivor.snapshot_index or None, written, ",".join(one.members())),
                *(contents.keys, contents.services, contents.sessions),
            )
        )
    head = ("Directory", "Node", "Cluster", "Last entry", "Its term", "Snapshot", "Written", "Members")
    table.show((*head, "Keys", "Services", "Sessions"), rows)
    for one in remains:
        if one.survivor.outdated is not None:
            click.echo(f"note: {one.survivor.path} was found to be an old copy: {one.survivor.outdated}")


def _best(remains: list[Remains]) -> Remains:
    """The one that knows most, of those of the first one's cluster."""
    cluster_id = remains[0].survivor.cluster_id
    return max(
        (one for one in remains if one.survivor.cluster_id == cluster_id), key=lambda one: one.survivor.place
    )


def _next_step(remains: list[Remains]) -> str:
    best = _best(remains).survivor
    return (
        f"{best.name} knows most; to go on from it: raftreg recover --from-this-node --data-dir {best.path}"
    )


def _check_first(remains: list[Remains]) -> None:
    """CommandFailed if another directory is the better one."""
    first, best = remains[0].survivor, _best(remains).survivor
    if best.place > first.place:
        raise CommandFailed(
            f"{best.path} knows more than {first.path}: recover from that one, or leave it out to lose what it knows"
        )


def _warn(one: Remains) -> None:
    survivor = one.survivor
    who = (
        f"As long as a majority of the voters of {', '.join(one.members())} can be brought back, bring it back: "
        "nothing is lost then."
    )
    click.echo(
        f"\n{who}\n"
        f"The new cluster begins with entry {survivor.last_index} of {survivor.name}. Writes that the others "
        "acknowledged and that are not in it are lost;\n"
        "writes that nobody acknowledged may be in it. Clients that remember an index (blocking queries, cas) should "
        "start anew.\n"
        f"{survivor.name} gets another identity in another cluster: the former members are refused by it, and it by "
        "them."
    )


def _ask(expected: str, word: str | None) -> None:
    """CommandFailed unless the user gives the id of the cluster that ends."""
    if word is None:
        if not sys.stdin.isatty():
            raise CommandFailed(
                f"nothing was changed: give --yes-i-understand {expected}, the id of the cluster that is given up"
            )
        word = click.prompt(
            f"\nType the id of the cluster that is given up ({expected})", default="", show_default=False
        )
    if word != expected:
        raise CommandFailed(f'nothing was changed: "{word}" is not {expected}, the id of the cluster')


def _say_what_now(one: Remains, cluster_id: str, former: Path) -> None:
    name = one.survivor.name
    click.echo(
        f"\n{name} is the only voter of the new cluster {cluster_id}. Its former files are in {former}; delete them "
        "when all is well.\n"
        f"Start {name} as before. Then move away the data directories of the other nodes, start each with --join and "
        f"the Raft address of {name},\n"
        "and run for each: raftreg operator raft add NAME"
    )
