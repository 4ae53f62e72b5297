"""Durations follow Go's syntax and Go's error texts."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftreg.durations import format_duration, parse_duration, parse_nanoseconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("-0", 0.0),
        ("0s", 0.0),
        ("10s", 10.0),
        ("+5s", 5.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("-1s", -1.0),
        ("2h45m", 9900.0),
        ("1us", 1e-6),
        ("1µs", 1e-6),
        ("1ns", 1e-9),
    ],
)
def test_parse(text: str, seconds: float) -> None:
    """Every form that Go accepts gives the same number of seconds."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", 'time: invalid duration ""'),
        ("abc", 'time: invalid duration "abc"'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("10", 'time: missing unit in duration "10"'),
        ("1.5", 'time: missing unit in duration "1.5"'),
        ("10x", 'time: unknown unit "x" in duration "10x"'),
        ("1s 2s", 'time: unknown unit "s " in duration "1s 2s"'),
        ("99999999999h", 'time: invalid duration "99999999999h"'),
        ("9" * 5000 + "s", 'time: invalid duration "' + "9" * 5000 + 's"'),
    ],
)
def test_parse_refuses(text: str, error: str) -> None:
    """What Go refuses is refused in Go's words."""
    with pytest.raises(ValueError, match="time: ") as caught:
        parse_duration(text)
    assert error == str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (90, "1m30s"),
        (3600, "1h0m0s"),
        (86400, "24h0m0s"),
        (0.5, "500ms"),
        (0.0015, "1.5ms"),
        (1e-6, "1µs"),
        (5e-9, "5ns"),
        (-1.5, "-1.5s"),
    ],
)
def test_format(seconds: float, text: str) -> None:
    """A number of seconds is written as Go's Duration.String writes it."""
    assert text == format_duration(seconds)


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_round_trip(nanoseconds: int) -> None:
    """What was written is read back as the same duration, to the nanosecond or the precision of a float."""
    text = format_duration(nanoseconds / 1e9)
    assert abs(nanoseconds - parse_nanoseconds(text)) <= abs(nanoseconds) * 1e-15 + 0.5


@given(st.text(alphabet="0123456789.hmsuµn+- x", max_size=12))
def test_parse_is_total(text: str) -> None:
    """Any text gives either a number or a ValueError."""
    with contextlib.suppress(ValueError):
        assert isinstance(parse_duration(text), float)
