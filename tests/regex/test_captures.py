"""What groups match: Perl's choices, as Python's `re` makes them, in bounded time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftreg.regex import Captures, PatternError

PATTERNS = [
    "^geo-(.*?)-([^\\-]+?)$",
    "(a*)(ab)*(b*)",
    "(a|ab)(c|bcd)(d*)",
    "(a+?)(b*)",
    "(?P<first>[a-z]+)-(?P<second>\\d+)",
    "(a)|(b)",
    "((a)|b)*",
    "(?:a(b)?)+",
    "x{0}(a{1,2})(a*)",
    "(^a|b$)",
    "a??(a*)",
    "(\\ba)?b",
    "",
]
TEXTS = ["", "a", "b", "ab", "abcd", "aab", "aaa", "bab", "geo-db-1", "geo--x", "web-12-x", "ba b"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_groups_match_what_a_backtracking_matcher_finds(pattern: str) -> None:
    """The leftmost match, earlier branches first, greedy unless lazy."""
    captures = Captures(pattern)
    for text in TEXTS:
        match = re.search(pattern, text)
        expected = None if match is None else tuple(group or "" for group in (match[0], *match.groups()))
        assert expected == captures.search(text), (pattern, text)


def test_an_ungreedy_flag_turns_the_signs_round() -> None:
    """With (?U), * is lazy and *? is greedy."""
    assert ("aa", "", "aa") == Captures("(?U)(a*)(a*?)").search("aa")


@given(st.text(alphabet="ab()|*?+^$.", max_size=8), st.text(alphabet="ab", max_size=6))
def test_whatever_both_take_matches_the_same(pattern: str, text: str) -> None:
    """A pattern is refused with PatternError, or finds the text that Python's matcher finds."""
    try:
        captures = Captures(pattern)
    except PatternError:
        return
    try:
        match = re.search(pattern, text)
    except re.error:
        return
    found = captures.search(text)
    assert (None if match is None else match[0]) == (None if found is None else found[0])


def test_no_pattern_takes_long() -> None:
    """What makes a backtracking matcher hang is one pass here; too large a program is refused."""
    assert Captures("^(a+)+(b+)*$").search("a" * 200 + "c") is None
    with pytest.raises(PatternError, match="too large"):
        Captures("((a{1,30}){1,30}){1,30}")
