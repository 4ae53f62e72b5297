"""Which instances of a service clients get to see, in what order and with what weight: one rule for all doors."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from raftreg.model import Check, Node, Service, ServiceQuery, Weights

T = TypeVar("T")

# An instance with its node and the checks that decide about it: the node's, then its own.
Instance = tuple[Node, Service, tuple[Check, ...]]

WEIGHT_MAX = 65_535
NEAR_AGENT = "_agent"  # stands for the node that was asked
_EVEN = Weights(1, 1)


def is_passing(checks: Iterable[Check], ignored: Collection[str] = ()) -> bool:
    """Whether every check passes, those that are ignored (by id) aside."""
    return all(check.status == "passing" or check.id in ignored for check in checks)


def is_critical(checks: Iterable[Check], ignored: Collection[str] = ()) -> bool:
    """Whether a check is critical, those that are ignored (by id) aside."""
    return any(check.status == "critical" and check.id not in ignored for check in checks)


def has_tags(service: Service, wanted: Sequence[str]) -> bool:
    """Whether the instance has every wanted tag, which are in lower case, without regard to its own case."""
    if not wanted:
        return True
    tags = {tag.lower() for tag in service.tags or ()}
    return tags.issuperset(wanted)


def has_pairs(meta: Mapping[str, str] | None, wanted: Iterable[tuple[str, str]]) -> bool:
    """Whether the metadata has all that is wanted."""
    given = meta or {}
    return all(given.get(key) == value for key, value in wanted)


def fair_weights(weights: Weights) -> Weights:
    """The weights as they count: what a registrar gave wrong is 1 and 1."""
    if weights.passing < 1 or weights.warning < 0 or max(weights.passing, weights.warning) > WEIGHT_MAX:
        return _EVEN
    return weights


def weight(service: Service, checks: Iterable[Check]) -> int:
    """The weight of an instance in its present state; 1 while a check has a status that nobody knows."""
    weights, statuses = fair_weights(service.weights), {check.status for check in checks}
    if "critical" in statuses:
        return 0
    if not statuses <= {"passing", "warning"}:
        return 1
    return weights.warning if "warning" in statuses else weights.passing


def select(query: ServiceQuery, instances: Iterable[Instance]) -> list[Instance]:
    """The instances of the service that a prepared query means, in the order in which they came."""
    tags = [tag.lower() for tag in query.tags or ()]
    wanted = [tag for tag in tags if not tag.startswith("!")]
    unwanted = {tag[1:] for tag in tags if tag.startswith("!")}
    node_meta, service_meta = (query.node_meta or {}).items(), (query.service_meta or {}).items()
    ignored = frozenset(query.ignore_check_ids or ())
    return [
        (node, service, checks)
        for node, service, checks in instances
        if not is_critical(checks, ignored)
        and (not query.only_passing or is_passing(checks, ignored))
        and has_tags(service, wanted)
        and (not unwanted or unwanted.isdisjoint(tag.lower() for tag in service.tags or ()))
        and has_pairs(node.meta, node_meta)
        and has_pairs(service.meta, service_meta)
    ]


def shuffled(items: Sequence[T], token: Callable[[int], bytes], count: int | None = None) -> list[T]:
    """`count` of the items (all by default), drawn by chance: each order is as likely as any other.

    `token` gives that many random bytes. Four of them decide about each item, which is as even as anybody could tell.
    """
    size = len(items)
    if count is None or count * 2 > size:
        keys = memoryview(token(4 * size)).cast("I")
        order = sorted(range(size), key=keys.__getitem__)
        return [items[number] for number in order[:count]]
    drawn = list(items)
    for place, key in enumerate(memoryview(token(4 * count)).cast("I")):
        other = place + key % (size - place)
        drawn[place], drawn[other] = drawn[other], drawn[place]
    return drawn[:count]


def nearest_first(instances: list[Instance], near: str, asked_node: str) -> list[Instance]:
    """The instances on the node that `near` names come first; nothing is known about other distances."""
    name = (asked_node if near == NEAR_AGENT else near).lower()
    return sorted(instances, key=lambda instance: instance[0].name.lower() != name) if near else instances
