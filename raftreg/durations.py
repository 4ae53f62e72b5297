"""Durations as text, in the syntax of Go's `time.ParseDuration` and `Duration.String`, which Consul's API uses.

A duration is an optional sign and a run of decimal numbers with a unit each (`300ms`, `1.5h`, `1m30s`); units are
ns, us (also µs), ms, s, m and h. `0` alone needs no unit. See https://pkg.go.dev/time#ParseDuration.
"""

import re

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek letter mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")
_NANOSECONDS_MAX = 2**63 - 1


def parse_duration(text: str) -> float:
    """Seconds that `text` stands for. ValueError in Go's words if it is none, or beyond 64 bit of nanoseconds."""
    return parse_nanoseconds(text) / 1e9


def parse_nanoseconds(text: str) -> int:
    """Whole nanoseconds that `text` stands for; errors as in `parse_duration`."""
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    total = 0
    position = 0
    while position < len(rest):
        amount, position = _parse_part(text, rest, position)
        total += amount
        if total > _NANOSECONDS_MAX:
            raise ValueError(f'time: invalid duration "{text}"')
    return -total if negative else total


def _parse_part(text: str, rest: str, position: int) -> tuple[int, int]:
    """One number with its unit at `position`: its nanoseconds and the position after it."""
    match = _PART.match(rest, position)
    if match is None or not (match[1] or match[2]):
        raise ValueError(f'time: invalid duration "{text}"')
    whole, fraction, unit = match[1], match[2] or "", match[3]
    if not unit:
        raise ValueError(f'time: missing unit in duration "{text}"')
    scale = _NANOSECONDS.get(unit)
    if scale is None:
        raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
    whole = whole.lstrip("0")
    if len(whole) > 19:
        raise ValueError(f'time: invalid duration "{text}"')
    fraction = fraction[:18]  # finer than a nanosecond of an hour: it cannot change the result
    amount = int(whole or "0") * scale
    if fraction:
        amount += int(fraction) * scale // 10 ** len(fraction)
    return amount, match.end()


def format_duration(seconds: float) -> str:
    """`seconds` as Go writes a Duration: `1m30s`, `1.5s`, `500ms`, `2h0m0s`, `0s`."""
    nanoseconds = round(seconds * 1e9)
    sign = "-" if nanoseconds < 0 else ""
    nanoseconds = abs(nanoseconds)
    if nanoseconds < 1_000_000_000:
        return sign + _format_below_second(nanoseconds)
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    text = _decimal(rest, 1_000_000_000) + "s"
    if not minutes:
        return sign + text
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{sign}{minutes}m{text}"
    return f"{sign}{hours}h{minutes}m{text}"


def _format_below_second(nanoseconds: int) -> str:
    """The largest unit in which the number is at least one, as Go does for less than a second."""
    if nanoseconds == 0:
        return "0s"
    for unit, scale in (("ms", 1_000_000), ("µs", 1_000)):
        if nanoseconds >= scale:
            return _decimal(nanoseconds, scale) + unit
    return f"{nanoseconds}ns"


def _decimal(amount: int, scale: int) -> str:
    """`amount / scale` exactly, without trailing zeros."""
    whole, fraction = divmod(amount, scale)
    if not fraction:
        return str(whole)
    digits = len(str(scale)) - 1
    return f"{whole}.{fraction:0{digits}d}".rstrip("0")
