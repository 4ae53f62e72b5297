"""`raftreg keygen`: the key by which the nodes of a cluster know each other."""

import base64
import os
from pathlib import Path

import click

from raftreg.cli.client import CommandFailed
from raftreg.clock import SystemClock
from raftreg.settings import CLUSTER_KEY_SIZE


@click.command(short_help="Make a cluster key.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def keygen(file: Path | None) -> None:
    """Make a cluster key: into FILE, which must not exist yet and only you can read, or onto the terminal.

    \b
    Every node of a cluster gets the same key:
      raftreg keygen cluster.key
      raftreg agent --cluster-key-file cluster.key ...
    """
    text = base64.b64encode(SystemClock().token(CLUSTER_KEY_SIZE)).decode("ascii")
    if file is None:
        click.echo(text)
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(text + "\n")
    except FileExistsError:
        raise CommandFailed(
            f"{file} exists already; a key that is in use must not be replaced by accident"
        ) from None
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"wrote {file}: copy it to every node and give --cluster-key-file {file}")
