"""`raftreg services`: register services and find them."""

from typing import Any

import click

from raftreg.cli import table
from raftreg.cli.client import CommandFailed
from raftreg.cli.options import client_for, consistency, http_address

_SEVERITY = ("passing", "warning", "critical")


@click.group()
def services() -> None:
    """Register services and find them.

    \b
      raftreg services register web --port 8080 --address 10.0.0.7
      raftreg services find web
      raftreg services deregister web
    """


@services.command(name="list")
@consistency
@http_address
def list_services(stale: bool, consistent: bool, http_addr: str | None) -> None:
    """Print the names of all services, with their tags."""
    parameters = {"stale": stale, "consistent": consistent}
    names = client_for(http_addr).get("/v1/catalog/services", parameters).table()
    table.show(("Service", "Tags"), [(name, ",".join(tags)) for name, tags in sorted(names.items())])


@services.command()
@click.argument("name")
@click.option("--passing", is_flag=True, help="Only instances whose checks all pass.")
@click.option("--tag", help="Only instances with this tag.")
@consistency
@http_address
def find(
    name: str, passing: bool, tag: str | None, stale: bool, consistent: bool, http_addr: str | None
) -> None:
    """Print the instances of the service NAME. Exit code 1 if there is none.

    \b
      raftreg services find web
      raftreg services find web --passing --tag blue
    """
    parameters = {"passing": passing, "tag": tag, "stale": stale, "consistent": consistent}
    found = client_for(http_addr).get(f"/v1/health/service/{name}", parameters).rows()
    if not found:
        raise CommandFailed(f'there is no {"passing " if passing else ""}instance of "{name}"')
    rows = [
        (
            instance["Service"]["ID"],
            instance["Service"]["Address"] or instance["Node"]["Address"],
            instance["Service"]["Port"],
            instance["Node"]["Node"],
            _worst(instance["Checks"]),
            ",".join(instance["Service"]["Tags"] or ()),
        )
        for instance in found
    ]
    table.show(("ID", "Address", "Port", "Node", "Status", "Tags"), rows)


@services.command()
@click.argument("name")
@click.option(
    "--id", "service_id", metavar="ID", help="Tells instances of one name apart; the name by default."
)
@click.option("--address", metavar="HOST", help="Where it listens; the node's own address by default.")
@click.option("--port", type=click.IntRange(0, 65535), default=0)
@click.option("--tag", "tags", multiple=True, metavar="TEXT", help="May be repeated.")
@click.option("--meta", multiple=True, metavar="KEY=VALUE", help="May be repeated.")
@click.option(
    "--ttl", metavar="DURATION", help="Critical unless it is renewed in this time; passing at first."
)
@http_address
def register(
    name: str,
    service_id: str | None,
    address: str | None,
    port: int,
    tags: tuple[str, ...],
    meta: tuple[str, ...],
    ttl: str | None,
    http_addr: str | None,
) -> None:
    """Register an instance of the service NAME.

    It belongs to the node that is asked; with an --address of its own it outlives that node.

    \b
      raftreg services register web --port 8080 --address 10.0.0.7 --tag blue
      raftreg services register web --id web-2 --port 8081 --ttl 30s
    """
    document: dict[str, object] = {"Name": name, "ID": service_id or name, "Port": port, "Tags": list(tags)}
    if address:
        document["Address"] = address
    if meta:
        document["Meta"] = dict(_key_and_value(text) for text in meta)
    if ttl:
        document["Check"] = {"TTL": ttl, "Status": "passing"}
    client_for(http_addr).put("/v1/agent/service/register", document)
    click.echo(f"registered {service_id or name}")


@services.command()
@click.argument("service_id", metavar="ID")
@http_address
def deregister(service_id: str, http_addr: str | None) -> None:
    """Take the instance ID out of the registry. Exit code 1 if there is none."""
    answer = client_for(http_addr).call("PUT", f"/v1/agent/service/deregister/{service_id}")
    if answer.headers.get("x-raftreg-found") == "false":
        raise CommandFailed(
            f'there is no service with the ID "{service_id}" at this node, and not just one at others: '
            "raftreg services find NAME prints IDs and nodes"
        )
    click.echo(f"deregistered {service_id}")


def _worst(checks: list[dict[str, Any]]) -> str:
    """The worst status of an instance's checks; one that is unknown counts as critical."""
    severities = [
        _SEVERITY.index(check["Status"]) if check["Status"] in _SEVERITY else len(_SEVERITY) - 1
        for check in checks
    ]
    return _SEVERITY[max(severities, default=0)]


def _key_and_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f'"{text}": write KEY=VALUE', param_hint="--meta")
    return key, value
