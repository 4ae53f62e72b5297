"""The `raftreg` command itself, and how its commands fail."""

import sys

import click

from raftreg import __version__
from raftreg.cli.agent import agent, dev
from raftreg.cli.cluster import members, status
from raftreg.cli.keys import keygen
from raftreg.cli.kv import kv
from raftreg.cli.lock import lock
from raftreg.cli.services import services
from raftreg.cli.session import session
from raftreg.cli.verify import verify
from raftreg.errors import RaftregError


class _Commands(click.Group):
    """A group whose expected errors are one line on standard error and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except RaftregError as error:
            click.echo(f"raftreg: {error}", err=True)
            ctx.exit(1)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, "--version", message="raftreg %(version)s")
def raftreg() -> None:
    """A service registry and key-value store that replicates itself with Raft and speaks Consul's HTTP API.

    \b
    Try it:
      raftreg dev
      raftreg kv put greeting hello
      raftreg kv get greeting
    """


@raftreg.command()
def version() -> None:
    """Print the version."""
    click.echo(f"raftreg {__version__}")


for command in (agent, dev, kv, lock, services, session, members, status, verify, keygen):
    raftreg.add_command(command)


def main() -> None:
    """Run the command line and exit."""
    sys.exit(raftreg.main(prog_name="raftreg", standalone_mode=True))
