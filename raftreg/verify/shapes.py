"""Shapes of partitions: which directions between which nodes are cut."""

from collections.abc import Callable, Sequence

from raftreg.chance import Stream
from raftreg.verify.wires import Pair

Shape = tuple[str, list[Pair]]
"""What it is in words, and the directions that are cut."""


def between(groups: Sequence[Sequence[str]]) -> list[Pair]:
    """Both directions between all nodes of different groups."""
    return [(a, b) for one in groups for other in groups if one is not other for a in one for b in other]


def isolated(nodes: Sequence[str], victim: str, chance: Stream) -> Shape:
    """One node alone."""
    others = [node for node in nodes if node != victim]
    return f"{victim} | {' '.join(others)}", between([[victim], others])


def halves(nodes: Sequence[str], victim: str, chance: Stream) -> Shape:
    """The victim in the smaller of two groups."""
    others = chance.sample([node for node in nodes if node != victim], len(nodes) - 1)
    size = (len(nodes) - 1) // 2
    minority, majority = sorted([victim, *others[: size - 1]]), sorted(others[size - 1 :])
    return f"{' '.join(minority)} | {' '.join(majority)}", between([minority, majority])


def bridge(nodes: Sequence[str], victim: str, chance: Stream) -> Shape:
    """Two groups that see each other through the victim only."""
    others = chance.sample([node for node in nodes if node != victim], len(nodes) - 1)
    half = len(others) // 2
    left, right = sorted(others[:half]), sorted(others[half:])
    return f"{' '.join(left)} | {' '.join(right)}, both see {victim}", between([left, right])


def ring(nodes: Sequence[str], victim: str, chance: Stream) -> Shape:
    """Each node sees its two neighbours only; among three nodes one link is cut."""
    if len(nodes) < 4:
        other = chance.choice([node for node in nodes if node != victim])
        return f"the link {victim} - {other}", between([[victim], [other]])
    order = chance.sample(list(nodes), len(nodes))
    near = {(a, b) for a, b in zip(order, order[1:] + order[:1], strict=True)}
    cut = [(a, b) for a in order for b in order if a != b and (a, b) not in near and (b, a) not in near]
    return f"a ring {' - '.join(order)}", cut


def shattered(nodes: Sequence[str], victim: str, chance: Stream) -> Shape:
    """Everybody alone: no majority."""
    return f"{' | '.join(nodes)}", between([[node] for node in nodes])


def deaf(nodes: Sequence[str], victim: str, chance: Stream) -> Shape:
    """The victim is heard, and hears nothing."""
    return f"{victim} hears nothing", [(node, victim) for node in nodes if node != victim]


def dumb(nodes: Sequence[str], victim: str, chance: Stream) -> Shape:
    """The victim hears, and is not heard."""
    return f"{victim} is not heard", [(victim, node) for node in nodes if node != victim]


ShapeMaker = Callable[[Sequence[str], str, Stream], Shape]
PARTITIONS: tuple[ShapeMaker, ...] = (isolated, halves, bridge, ring, shattered)
ONE_WAY: tuple[ShapeMaker, ...] = (deaf, dumb)
