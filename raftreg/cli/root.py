"""The `raftreg` command itself, and how its commands fail."""

import sys
from importlib import import_module

import click

from raftreg import __version__
from raftreg.errors import ConfigError, RaftregError

# Where each command is: only the one that is asked for is imported, for a node is to start quickly.
_MODULES = {
    "agent": "agent",
    "dev": "agent",
    "init": "init",
    "keygen": "keys",
    "kv": "kv",
    "lock": "lock",
    "members": "cluster",
    "operator": "operator",
    "recover": "recover",
    "services": "services",
    "session": "session",
    "status": "cluster",
    "verify": "verify",
}


class _Commands(click.Group):
    """A group whose expected errors are one line on standard error and exit code 1; 2 for a setting that is wrong."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_MODULES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return super().get_command(ctx, cmd_name)
        command = getattr(import_module(f"raftreg.cli.{_MODULES[cmd_name]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except RaftregError as error:
            click.echo(f"raftreg: {error}", err=True)
            ctx.exit(2 if isinstance(error, ConfigError) else 1)


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


def main() -> None:
    """Run the command line and exit."""
    sys.exit(raftreg.main(prog_name="raftreg", standalone_mode=True))
