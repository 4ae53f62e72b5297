"""Alias checks: as healthy as the service or the node that they name. Pure: the checks of a node are an argument."""

from collections.abc import Sequence
from typing import Final

from raftreg.commands import CheckUpdate
from raftreg.duties.deadlines import Key
from raftreg.duties.ttl import key_of
from raftreg.model import Check
from raftreg.state.changes import fold

# Characters. Aliases that look at each other quote each other's quotes: without an end that would never come to rest.
OUTPUT_MAX: Final = 4096


class Aliases:
    """The alias checks there are, by the node that they look at."""

    def __init__(self) -> None:
        self._by_target: dict[str, dict[Key, Check]] = {}
        self._targets: dict[Key, str] = {}

    def clear(self) -> None:
        """Forget everything: this node does not lead."""
        self._by_target.clear()
        self._targets.clear()

    def see(self, check: Check) -> str | None:
        """A check is new or changed; the folded name of the node that it looks at, if it is an alias."""
        key = key_of(check)
        self.forget(key)
        if check.probe is None or check.probe.kind != "alias":
            return None
        target = fold(_option(check, "AliasNode") or check.node)
        self._by_target.setdefault(target, {})[key] = check
        self._targets[key] = target
        return target

    def forget(self, key: Key) -> None:
        """The check is gone."""
        target = self._targets.pop(key, None)
        if target is not None:
            aliases = self._by_target[target]
            del aliases[key]
            if not aliases:
                del self._by_target[target]

    def looks_at(self, node: str) -> bool:
        """Whether any alias looks at the node of that folded name."""
        return node in self._by_target

    def updates(self, node: str, checks: Sequence[Check], service_ids: frozenset[str]) -> list[CheckUpdate]:
        """What to write, given the checks and the services that are on the node of that folded name now."""
        updates = []
        for alias in self._by_target.get(node, {}).values():
            status, output = alias_status(alias, node, checks, service_ids)
            if (status, output) != (alias.status, alias.output):
                updates.append(CheckUpdate(alias.node, alias.id, status, output, alias.modify_index))
        return updates


def alias_status(
    alias: Check, node: str, checks: Sequence[Check], service_ids: frozenset[str]
) -> tuple[str, str]:
    """Status and output: the worst of the checks of the service that it names, and of the node's own."""
    service_id = _option(alias, "AliasService")
    status, output = "passing", "No checks found."
    for check in checks:
        if check.service_id not in ("", service_id) or key_of(check) == key_of(alias):
            continue
        if check.status in ("critical", "warning"):
            status = check.status
            output = f'Aliased check "{check.name}" failing: {check.output}'[:OUTPUT_MAX]
            if status == "critical":
                break
        elif status == "passing":
            output = "All checks passing."
    if service_id and service_id not in service_ids:
        return (
            "critical",
            f"Service {service_id} could not be found on node {_option(alias, 'AliasNode') or node}",
        )
    return status, output


def _option(check: Check, name: str) -> str:
    options = {} if check.probe is None else check.probe.options or {}
    return str(options.get(name, ""))
