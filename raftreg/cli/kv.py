"""`raftreg kv`: keys and values."""

import base64
import sys
from pathlib import Path
from typing import Any

import click

from raftreg.cli import table
from raftreg.cli.client import CommandFailed
from raftreg.cli.options import client_for, consistency, http_address


@click.group()
def kv() -> None:
    """Read and write keys.

    \b
      raftreg kv put app/colour blue
      raftreg kv get app/colour
      raftreg kv list app/
      raftreg kv delete app/ --recurse
    """


@kv.command()
@click.argument("key")
@click.option("--recurse", is_flag=True, help="All keys that begin with KEY, as lines of key:value.")
@click.option("--detailed", is_flag=True, help="Show flags and indexes too.")
@consistency
@http_address
def get(
    key: str, recurse: bool, detailed: bool, stale: bool, consistent: bool, http_addr: str | None
) -> None:
    """Print the value of KEY. Exit code 1 if there is none.

    \b
      raftreg kv get app/colour
      raftreg kv get app/ --recurse
      raftreg kv get app/colour --detailed        (ModifyIndex is what --cas wants)
    """
    parameters = {"recurse": recurse, "stale": stale, "consistent": consistent}
    answer = client_for(http_addr).call("GET", f"/v1/kv/{key}", parameters, accept=(200, 404))
    if answer.status == 404:
        raise CommandFailed(f'there is no key {"below " if recurse else ""}"{key}"')
    entries = answer.rows()
    if detailed:
        rows = [
            (
                entry["Key"],
                _value(entry).decode("utf-8", "replace"),
                entry["Flags"],
                entry["CreateIndex"],
                entry["ModifyIndex"],
            )
            for entry in entries
        ]
        table.show(("Key", "Value", "Flags", "CreateIndex", "ModifyIndex"), rows)
        return
    for entry in entries:
        prefix = f"{entry['Key']}:".encode("utf-8", "surrogateescape") if recurse else b""
        click.echo(prefix + _value(entry))


@kv.command()
@click.argument("key")
@click.argument("value", default="")
@click.option(
    "--cas",
    type=click.IntRange(min=0),
    metavar="INDEX",
    help="Only if KEY is still at this ModifyIndex (0: absent).",
)
@click.option("--flags", type=click.IntRange(0, 2**64 - 1), help="A number kept with the value.")
@http_address
def put(key: str, value: str, cas: int | None, flags: int | None, http_addr: str | None) -> None:
    """Store VALUE under KEY. `-` reads it from standard input, `@FILE` from a file.

    \b
      raftreg kv put app/colour blue
      raftreg kv put app/config @config.json
      raftreg kv put app/colour red --cas 42
    """
    parameters = {"cas": cas, "flags": flags}
    answer = client_for(http_addr).call("PUT", f"/v1/kv/{key}", parameters, _read_value(value))
    if answer.json() is not True:
        raise CommandFailed(_refusal("stored", key, cas))
    click.echo(f"stored {key}")


@kv.command()
@click.argument("key")
@click.option("--recurse", is_flag=True, help="All keys that begin with KEY.")
@click.option(
    "--cas", type=click.IntRange(min=0), metavar="INDEX", help="Only if KEY is still at this ModifyIndex."
)
@http_address
def delete(key: str, recurse: bool, cas: int | None, http_addr: str | None) -> None:
    """Delete KEY; an absent one is no error.

    \b
      raftreg kv delete app/colour
      raftreg kv delete app/ --recurse
    """
    answer = client_for(http_addr).call("DELETE", f"/v1/kv/{key}", {"recurse": recurse, "cas": cas})
    if answer.json() is not True:
        raise CommandFailed(_refusal("deleted", key, cas))
    click.echo(f"deleted {key}{' and all below' if recurse else ''}")


@kv.command(name="list")
@click.argument("prefix", default="")
@click.option("--separator", metavar="TEXT", help="Cut keys after the first one of these behind the prefix.")
@consistency
@http_address
def list_keys(
    prefix: str, separator: str | None, stale: bool, consistent: bool, http_addr: str | None
) -> None:
    """Print the keys that begin with PREFIX, in order.

    \b
      raftreg kv list
      raftreg kv list app/ --separator /
    """
    parameters = {"keys": True, "separator": separator, "stale": stale, "consistent": consistent}
    answer = client_for(http_addr).call("GET", f"/v1/kv/{prefix}", parameters, accept=(200, 404))
    for key in answer.texts() if answer.status == 200 else []:
        click.echo(key)


def _refusal(what: str, key: str, cas: int | None) -> str:
    if cas is None:
        return f"not {what}: the answer is not that of a raftreg node"
    return f'not {what}: "{key}" is not at index {cas}'


def _value(entry: dict[str, Any]) -> bytes:
    return base64.b64decode(entry["Value"] or "")


def _read_value(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_bytes()
        except OSError as error:
            raise CommandFailed(f"{text[1:]} cannot be read: {error.strerror}") from None
    return text.encode("utf-8", "surrogateescape")
