"""`raftreg agent` and `raftreg dev`: run a node in this process."""

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from raftreg.config import load
from raftreg.settings import SETTINGS, Setting


def with_settings(settings: tuple[Setting, ...]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options for these settings, in the order of the table. All hand text on: the table knows how to read it."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for setting in reversed(settings):
            function = _option(setting)(function)
        return function

    return decorate


def _option(setting: Setting) -> Callable[[Callable[..., None]], Callable[..., None]]:
    default = "" if setting.default is None or setting.is_switch else f"  [{setting.default}]"
    parameter = setting.name.replace("-", "_")
    if setting.is_switch:
        return click.option(setting.flag, parameter, flag_value="true", default=None, help=setting.help)
    return click.option(
        setting.flag, parameter, metavar=setting.metavar, default=None, help=setting.help + default
    )


config_option = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="TOML file with settings by the same names; flags and RAFTREG_ variables win over it.",
)


@click.command()
@config_option
@with_settings(tuple(setting for setting in SETTINGS if setting.has_flag))
def agent(config: Path | None, **flags: str | None) -> None:
    """Run a node of a cluster until SIGTERM or Ctrl-C.

    Every setting is also a variable (--data-dir is RAFTREG_DATA_DIR) and a key of the TOML file (data-dir).

    \b
      raftreg agent --node n1 --data-dir /var/lib/raftreg \\
          --peers n1=127.0.0.1:8300,n2=127.0.0.1:8301,n3=127.0.0.1:8302
      raftreg agent --node n4 --data-dir /var/lib/raftreg --join 127.0.0.1:8300
    """
    _run(config, flags, in_dev=False)


@click.command(short_help="Run one node in memory, for trying things out.")
@config_option
@with_settings(tuple(setting for setting in SETTINGS if setting.in_dev))
def dev(config: Path | None, **flags: str | None) -> None:
    """Run one node in memory, for trying things out; it forgets everything when it stops.

    \b
      raftreg dev
      raftreg dev --http 127.0.0.1:9500
    """
    _run(config, flags, in_dev=True)


def _run(file: Path | None, flags: dict[str, Any], *, in_dev: bool) -> None:
    named = {name.replace("_", "-"): text for name, text in flags.items()}
    configuration = load(named, os.environ, file, in_dev=in_dev)
    gc.disable()  # until the node has started: what a start makes stays (`raftreg.garbage`)
    # Imported here, because the other commands need neither the server nor its libraries.
    from raftreg.server import run

    sys.exit(run(configuration))
