"""Regular expressions of filters: RE2's language, in linear time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftreg.regex import Pattern, PatternError

SAMPLES = [
    "",
    "a",
    "ab",
    "abc",
    "aab",
    "A",
    "b1",
    "a b",
    "a\nb",
    "é",
    "a-b",
    "xyz",
    "foo.bar",
    "[",
    "10.0.0.1",
]


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a",
        "^a$",
        "a|b1",
        "a*b",
        "a+b?",
        "(?:ab)+c",
        "(?P<name>a)b",
        "[a-c]+$",
        "[^a]",
        r"\d",
        r"\w\W\w",
        r"[\d.]+",
        "a{2}",
        "a{1,}b",
        "^a{0,2}b",
        "(?i)AB",
        "(?i:A)b",
        "(?s)a.b",
        "a.b",
        "(?m)^b$",
        r"\bb",
        r"a\Bb",
        r"\[",
        r"foo\.bar",
        r"\x61\x62",
        "a{",
        "a{,2}",
        "[]a]",
        "[a-]b",
        "(a|b)*c",
        "(a*)*b",
        "()a",
    ],
)
def test_agrees_with_the_standard_library(pattern: str) -> None:
    """Where RE2 and Python share the syntax, they agree on every sample."""
    ours = Pattern(pattern)
    expected = [
        re.search("a\\{,2\\}" if pattern == "a{,2}" else pattern, text) is not None for text in SAMPLES
    ]
    assert expected == [ours.search(text) for text in SAMPLES]


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"\Qa.b\E+", "a.bbb", True),
        (r"\Qa.b\E", "axb", False),
        ("[[:alpha:]]+[[:digit:]]", "ab1", True),
        ("[[:^alpha:]]", "ab", False),
        (r"\pL", "é", True),
        (r"\p{Lu}", "a", False),
        (r"\PL", "é", False),
        (r"\x{e9}", "é", True),
        (r"a\z", "a\n", False),
        ("a$", "a\n", False),
        ("(?U)a+", "aa", True),
        (r"\07", "\x07", True),
    ],
)
def test_syntax_of_re2(pattern: str, text: str, expected: bool) -> None:
    """What RE2 has beyond Python, and `$` as the end of the text only."""
    assert expected == Pattern(pattern).search(text)


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "a)",
        "*a",
        "a**",
        "a{2}{3}",
        "[a",
        "[b-a]",
        "\\",
        r"\1",
        r"(a)\1",
        "(?=a)",
        "(?<=a)b",
        "(?P=a)",
        "(?<n>a)",
        r"\p{Greek}",
        "a{1001}",
        "a{3,2}",
        "(a{100}){100}",
        "[[:nope:]]",
        r"\x{110000}",
        "(?P<1>a)",
        "(?z)a",
        "(" * 200,
        "a" * 600,
    ],
)
def test_refuses(pattern: str) -> None:
    """What RE2 does not take, or what would make too large a program, is an error."""
    with pytest.raises(PatternError):
        Pattern(pattern)


@given(
    st.text(max_size=30) | st.text(alphabet="ab(|)*+?[]{}1,\\^$.:PQE<>-dpx", max_size=30),
    st.text(max_size=20),
)
def test_any_text_compiles_or_is_refused(pattern: str, text: str) -> None:
    """No pattern raises anything but PatternError, and no search raises at all."""
    try:
        compiled = Pattern(pattern)
    except PatternError:
        return
    assert compiled.search(text) in (True, False)


def test_is_linear_where_backtracking_is_not() -> None:
    """A pattern that takes a backtracking matcher longer than the universe lives is answered at once."""
    assert not Pattern("^(a+)+$").search("a" * 5000 + "!")
    assert not Pattern("(x+x+)+y").search("x" * 5000)
