"""A little SVG: elements as text, and scales with ticks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """One element. `class_` is class, `stroke_width` is stroke-width; numbers are rounded; None is left out."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{shown}>{content}</{name}>" if content else f"<{name}{shown}/>"


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else escape(str(value))


def text(x: float, y: float, words: str, class_: str = "", anchor: str = "start", hint: str = "") -> str:
    """Words at a place; `hint` shows when the mouse rests on them."""
    content = escape(words) + (tag("title", escape(hint)) if hint else "")
    return tag("text", content, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def box(x: float, y: float, width: float, height: float, class_: str, hint: str = "") -> str:
    """A rectangle."""
    content = tag("title", escape(hint)) if hint else ""
    return tag("rect", content, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def polyline(points: Iterable[tuple[float, float]], class_: str) -> str:
    """A line through points; nothing for none."""
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("polyline", points=joined, class_=class_) if joined else ""


def area(points: Sequence[tuple[float, float]], floor: float, class_: str) -> str:
    """What lies between a line through points and a floor; nothing for none."""
    if not points:
        return ""
    corners = [(points[0][0], floor), *points, (points[-1][0], floor)]
    return tag("polygon", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in corners), class_=class_)


def drawing(width: float, height: float, parts: Iterable[str], label: str) -> str:
    """The whole picture; `label` is for those who do not see it."""
    content = "\n".join(part for part in parts if part)
    return tag(
        "svg",
        content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
    )


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places: `low` lies at `start`, `high` at `end`. `is_log`: equal factors are equal distances."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; those outside lie at the nearer end."""
        value = min(max(value, self.low), self.high)
        if self.is_log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 6) -> list[float]:
        """Round values, about `count` of them; powers of ten if `is_log`."""
        if self.is_log:
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            return [float(10.0**power) for power in powers]
        rough = ((self.high - self.low) or 1.0) / count
        magnitude = 10.0 ** math.floor(math.log10(rough))
        step = next(size * magnitude for size in (1, 2, 5, 10) if size * magnitude >= rough)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def seconds(value_s: float) -> str:
    """A duration for people: 0.8 ms, 12 ms, 1.5 s."""
    if value_s < 0.00995:
        return f"{value_s * 1000:.1f} ms"
    return f"{value_s * 1000:.0f} ms" if value_s < 0.9995 else f"{value_s:.3g} s"
