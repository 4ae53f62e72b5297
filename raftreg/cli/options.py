"""Options that several commands share."""

from collections.abc import Callable
from typing import TypeVar

import click

from raftreg.cli.client import Client, address_from

F = TypeVar("F", bound=Callable[..., object])


def http_address(function: F) -> F:
    """The node to ask, handed to the command as `http_addr`; see `client_for`."""
    return click.option(
        "--http-addr",
        metavar="HOST:PORT",
        help="The node to ask; else RAFTREG_HTTP_ADDR, CONSUL_HTTP_ADDR, 127.0.0.1:8500.",
    )(function)


def consistency(function: F) -> F:
    """--stale and --consistent, for reads."""
    stale = click.option(
        "--stale", is_flag=True, help="Answer from the node's own copy at once, leader or not."
    )
    consistent = click.option("--consistent", is_flag=True, help="Have the leader confirm itself first.")
    return stale(consistent(function))


def client_for(http_addr: str | None) -> Client:
    """The client for an `--http-addr`. CommandFailed if that is malformed."""
    return Client(address_from(http_addr))
