"""Filter expressions: grammar, schema and evaluation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftreg.api.filter import BOOL, INT, STRING, FilterError, ListOf, MapOf, Struct, compile_filter
from raftreg.api.filter.syntax import And, Expression, Match, Not, Or, parse

CHECK = Struct({"Status": STRING, "Name": STRING})
SCHEMA = Struct(
    {
        "Name": STRING,
        "Port": INT,
        "Native": BOOL,
        "Tags": ListOf(STRING),
        "Meta": MapOf(STRING),
        "Weights": Struct({"Passing": INT}),
        "Addresses": MapOf(Struct({"Address": STRING, "Port": INT})),
        "Checks": ListOf(CHECK),
    }
)
ROW: dict[str, object] = {
    "Name": "web-1",
    "Port": 81,
    "Native": True,
    "Tags": ["x", "y"],
    "Meta": {"env": "prod", "a b": "1"},
    "Weights": {"Passing": 3},
    "Addresses": {"lan": {"Address": "10.0.0.1", "Port": 8}},
    "Checks": [{"Status": "passing", "Name": "a"}, {"Status": "critical", "Name": "b"}],
}


@pytest.mark.parametrize(
    "text",
    [
        "Name == `web-1`",
        'Name=="web-1"',
        "Name != other",
        "web in Name",
        "Name contains eb",
        "nope not in Name",
        "Name not contains nope",
        "Port == 81",
        'Port == "0x51"',
        "Port != 82",
        "Native == true",
        "Native != false",
        "x in Tags",
        '"y" in Tags',
        "Tags contains x",
        "z not in Tags",
        "Tags not contains z",
        "Tags is not empty",
        "Meta is not empty",
        "Meta.env == prod",
        'Meta["a b"] == 1',
        "Meta[`a b`] == `1`",
        "env in Meta",
        "other not in Meta",
        "Meta.absent != x",
        "Meta.absent matches `^never$`",
        "Meta.absent not in Meta",
        "Weights.Passing == 3",
        'Addresses.lan.Address == "10.0.0.1"',
        "Addresses.wan.Port != 8",
        "Checks.Status == passing",
        "Checks.Status == critical",
        "Checks.Status != critical",
        "Checks is not empty",
        "not Checks.Status == warning",
        "Name matches `^web-[0-9]+$`",
        "Name not matches `^db`",
        'Name matches "b-\\x31"',
        " ( Port == 1 or Port == 81 ) and not not Tags contains x ",
        "Port == 81\n\tor Port == 1 and Name == no",
    ],
)
def test_accepts(text: str) -> None:
    """An expression that holds for the row selects it."""
    assert compile_filter(text, SCHEMA).matches(ROW)


@pytest.mark.parametrize(
    "text",
    [
        "Name == web",
        "Port == 80",
        "Native == false",
        "z in Tags",
        "Tags is empty",
        "Meta.absent == x",
        "x in Meta.absent",
        "Checks.Status == warning",
        "not Port == 81",
        "(Port == 1 or Port == 81) and Name == no",
        "not (Port == 1 or Port == 81)",
        "Name matches `^eb`",
    ],
)
def test_rejects(text: str) -> None:
    """An expression that does not hold for the row leaves it out."""
    assert not compile_filter(text, SCHEMA).matches(ROW)


def test_absent_fields_have_zero_values() -> None:
    """A field that the answer leaves out compares as the zero value of its kind."""
    for text in (
        'Name == ""',
        "Port == 0",
        "Native == false",
        "Tags is empty",
        "Meta is empty",
        "Checks is empty",
    ):
        assert compile_filter(text, SCHEMA).matches({}), text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Nope == 1", 'Selector "Nope" is not valid'),
        ("Checks.Nope == 1", 'Selector "Checks.Nope" is not valid'),
        ("Meta.a.b == 1", 'Selector "Meta.a.b" is not valid'),
        ("Port contains 8", 'Invalid match operator "In" for selector "Port"'),
        ("Port is empty", 'Invalid match operator "Is Empty" for selector "Port"'),
        ("Tags == x", 'Invalid match operator "Equal" for selector "Tags"'),
        ("Weights == x", 'Invalid match operator "Equal" for selector "Weights"'),
        (
            "Port == abc",
            'Failed to coerce value "abc" for selector "Port": strconv.ParseInt: parsing "abc": invalid syntax',
        ),
        (
            "Port == 99999999999999999999",
            'Failed to coerce value "99999999999999999999" for selector "Port": '
            'strconv.ParseInt: parsing "99999999999999999999": value out of range',
        ),
        (
            "Native == maybe",
            'Failed to coerce value "maybe" for selector "Native": strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (
            "Name matches `(`",
            'Failed to compile regular expression "(": error parsing regexp: missing closing ): `(`',
        ),
    ],
)
def test_errors_of_meaning(text: str, why: str) -> None:
    """What does not fit the schema is refused before any row is seen, in the field's words."""
    with pytest.raises(FilterError) as caught:
        compile_filter(text, SCHEMA)
    assert f"Failed to create boolean expression evaluator: {why}" == caught.value.text
    assert caught.value.status == 500


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Port ==",
        "Port == ",
        "== 1",
        "(Port == 1",
        "Port == 1)",
        "Port == 1 and",
        "Port == 1 xor Port == 2",
        "Port = 1",
        'Name == "open',
        "Name == `open",
        'Name == "bad \\q"',
        "Meta[1] == 2",
        'Meta["a" == 2',
        "Port == 12x",
        "x in",
        "x in 12",
        "notPort == 1 ~",
        "(" * 5000,
    ],
)
def test_errors_of_syntax(text: str) -> None:
    """What does not parse is refused with the place at which it stopped."""
    with pytest.raises(FilterError) as caught:
        compile_filter(text, SCHEMA)
    assert caught.value.text.startswith("Failed to create boolean expression evaluator: ")


@given(st.text(max_size=80))
def test_any_text_parses_or_is_refused(text: str) -> None:
    """The parser raises its own error and nothing else."""
    try:
        selected = compile_filter(text, SCHEMA).matches(ROW)
    except FilterError:
        selected = False
    assert selected in (True, False)


WORDS_AND_SIGNS = [
    "Port",
    "Tags",
    "Meta",
    "==",
    "!=",
    "in",
    "not",
    "and",
    "or",
    "is",
    "empty",
    "contains",
    "matches",
]
SIGNS_AND_VALUES = ["(", ")", "[", "]", '"', "`", "1", "-2.5", ".", "\\", "x", '"x"', "`(a|b)+`", "Meta.k"]
FRAGMENTS = st.lists(st.sampled_from([*WORDS_AND_SIGNS, *SIGNS_AND_VALUES]), max_size=25)


@given(FRAGMENTS)
def test_any_sequence_of_tokens_parses_or_is_refused(tokens: list[str]) -> None:
    """Sequences of the grammar's own words never confuse the parser or the evaluation."""
    try:
        compiled = compile_filter(" ".join(tokens), SCHEMA)
    except FilterError:
        return
    assert compiled.matches(ROW) in (True, False)


NAMES = st.sampled_from(["a", "Bc", "d_1"])
VALUES = st.text(alphabet='abz 0"`\\\n', max_size=5).filter(lambda text: "`" not in text or '"' not in text)
MATCHES = st.builds(
    Match,
    st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    st.sampled_from(["Equal", "Not Equal", "In", "Not In", "Matches", "Not Matches"]),
    VALUES,
) | st.builds(
    Match,
    st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    st.sampled_from(["Is Empty", "Is Not Empty"]),
    st.none(),
)
WORDS = {
    "Equal": "==",
    "Not Equal": "!=",
    "In": "contains",
    "Not In": "not contains",
    "Matches": "matches",
    "Not Matches": "not matches",
    "Is Empty": "is empty",
    "Is Not Empty": "is not empty",
}


def _printed(tree: Expression) -> str:
    match tree:
        case Match(selector, operator, None):
            return f"{'.'.join(selector)} {WORDS[operator]}"
        case Match(selector, operator, value):
            quoted = f"`{value}`" if "`" not in str(value) else f'"{value!s}"'
            if quoted[0] == '"':
                quoted = '"' + str(value).replace("\\", "\\\\").replace("\n", "\\n") + '"'
            return f"{'.'.join(selector)} {WORDS[operator]} {quoted}"
        case Not(operand):
            return f"not ({_printed(operand)})"
        case And(operands):
            return " and ".join(f"({_printed(operand)})" for operand in operands)
        case Or(operands):
            return " or ".join(f"({_printed(operand)})" for operand in operands)


TREES: st.SearchStrategy[Expression] = st.recursive(
    MATCHES,
    lambda inner: (
        st.builds(Not, inner)
        | st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(tuple(parts)))
        | st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts)))
    ),
    max_leaves=8,
)


@given(TREES)
def test_round_trip(tree: Expression) -> None:
    """A tree that is written out with parentheses parses to itself."""
    assert tree == parse(_printed(tree))


@given(st.booleans(), st.booleans(), st.booleans())
def test_precedence(a: bool, b: bool, c: bool) -> None:
    """`not` binds closer than `and`, and `and` closer than `or`."""
    row = {"Name": "n", "Meta": {"a": str(a), "b": str(b), "c": str(c)}}
    text = "Meta.a == True or not Meta.b == True and Meta.c == True"
    assert (a or ((not b) and c)) == compile_filter(text, SCHEMA).matches(row)
