"""Decoding of JSON bodies: what is taken, and what the errors say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftreg.api.decode import (
    ANY,
    BOOL,
    DURATION,
    INT,
    STRING,
    STRING_MAP,
    STRINGS,
    ListOf,
    Object,
    decode,
    decode_body,
)
from raftreg.api.json_text import DecodeError
from raftreg.errors import Refused

INNER = Object(
    "NodeService",
    {"ID": STRING, "Port": INT, "EnableTagOverride": BOOL},
    {"enable_tag_override": "EnableTagOverride"},
)
SHAPE = Object(
    "RegisterRequest",
    {
        "Node": STRING,
        "Meta": STRING_MAP,
        "Tags": STRINGS,
        "Service": INNER,
        "Services": ListOf(INNER, "[]*structs.NodeService"),
        "TTL": DURATION,
        "Config": ANY,
    },
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{}", {}),
        ("null", {}),
        ('{"Node":"n"}', {"Node": "n"}),
        ('{"nOdE":"n"} trailing', {"Node": "n"}),
        ('{"Node":null}', {}),
        ('{"Node":"a","node":"b"}', {"Node": "b"}),
        (
            '{"service":{"enable_tag_override":true,"port":8}}',
            {"Service": {"EnableTagOverride": True, "Port": 8}},
        ),
        ('{"Tags":["a",null]}', {"Tags": ["a", ""]}),
        ('{"Meta":{"K":"v"}}', {"Meta": {"K": "v"}}),
        ('{"TTL":"1m30s"}', {"TTL": 90.0}),
        ('{"TTL":1500000000}', {"TTL": 1.5}),
        ('{"TTL":1e9}', {"TTL": 1.0}),
        ('{"Services":[{"ID":"a"}]}', {"Services": [{"ID": "a"}]}),
        ('{"Config":{"a":[1,2.5,"x",null,true]}}', {"Config": {"a": [1, 2.5, "x", None, True]}}),
        ('{"Config":[18446744073709551616,-9223372036854775809]}', {"Config": [2.0**64, -(2.0**63)]}),
        ('{"Service":{"Port":-9223372036854775808}}', {"Service": {"Port": -(2**63)}}),
        ('{"Node":"\\ud800x"}', {"Node": "\ufffdx"}),
        ('{"Node":"\\ud83d\\ude00"}', {"Node": "\U0001f600"}),
    ],
)
def test_decodes(body: str, expected: dict[str, object]) -> None:
    """Fields are found without regard to case, null leaves them unset, and durations become seconds."""
    assert expected == decode(body.encode(), SHAPE)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "EOF"),
        (" \n", "EOF"),
        ("nope", "invalid character 'o' in literal null (expecting 'u')"),
        ("tru", "unexpected EOF"),
        ("{", "unexpected EOF"),
        ('{"Node"', "unexpected EOF"),
        ('{"Node":', "unexpected EOF"),
        ('{"Node":"x', "unexpected EOF"),
        ("{1:2}", "invalid character '1' looking for beginning of object key string"),
        ('{"Node" 1}', "invalid character '1' after object key"),
        ('{"Node":"a" "b"}', "invalid character '\"' after object key:value pair"),
        ('{"Tags":["a" 1]}', "invalid character '1' after array element"),
        ("<x>", "invalid character '<' looking for beginning of value"),
        ('{"Node":NaN}', "invalid character 'N' looking for beginning of value"),
        ('{"Bogus":1}', 'json: unknown field "Bogus"'),
        ('{"Service":{"Bogus":1}}', 'json: unknown field "Bogus"'),
        ("[]", "json: cannot unmarshal array into Go value of type structs.RegisterRequest"),
        (
            '{"Node":1}',
            "json: cannot unmarshal number into Go struct field RegisterRequest.Node of type string",
        ),
        (
            '{"Service":{"Port":"80"}}',
            "json: cannot unmarshal string into Go struct field NodeService.Service.Port of type int",
        ),
        (
            '{"Service":{"Port":1.5}}',
            "json: cannot unmarshal number 1.5 into Go struct field NodeService.Service.Port of type int",
        ),
        (
            '{"Tags":"a"}',
            "json: cannot unmarshal string into Go struct field RegisterRequest.Tags of type []string",
        ),
        ('{"TTL":"abc"}', 'time: invalid duration "abc"'),
        (
            '{"TTL":true}',
            "json: cannot unmarshal bool into Go struct field RegisterRequest.TTL of type time.Duration",
        ),
    ],
)
def test_refuses(body: str, why: str) -> None:
    """What does not parse or fit is refused in Go's words."""
    with pytest.raises(DecodeError) as caught:
        decode(body.encode(), SHAPE)
    assert why == str(caught.value)


def test_refusal_of_a_body_is_a_bad_request() -> None:
    """Handlers get the status and the text that clients see."""
    with pytest.raises(Refused) as caught:
        decode_body(b"", SHAPE)
    assert (400, "Request decode failed: EOF") == (caught.value.status, caught.value.text)


def _is_decoded_or_refused(body: bytes) -> bool:
    try:
        return set(decode(body, SHAPE)) <= set(SHAPE.fields)
    except DecodeError as error:
        return str(error) != ""


@given(
    st.binary(max_size=60)
    | st.text(alphabet='{}[]":,0123456789.eE+-\\untrfalsNod ', max_size=60).map(str.encode)
)
def test_any_bytes_decode_or_are_refused(body: bytes) -> None:
    """No body raises anything but DecodeError."""
    assert _is_decoded_or_refused(body)


def test_deep_nesting_and_huge_numbers_are_refused() -> None:
    """Bodies made to exhaust the stack or the integer parser are refused like any other."""
    for body in ('{"Config":' + "[" * 200_000, '{"Service":{"Port":' + "9" * 10_000 + "}}"):
        with pytest.raises(DecodeError):
            decode(body.encode(), SHAPE)


TEXTS = st.text(alphabet="aB0 é", max_size=5)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["Node", "meta", "TAGS", "Service", "Services", "TTL", "Config"]), JSON_VALUES
    )
)
def test_any_json_decodes_or_is_refused(value: dict[str, object]) -> None:
    """Well-formed JSON of the wrong types raises nothing but DecodeError."""
    assert _is_decoded_or_refused(json.dumps(value).encode())


@pytest.mark.parametrize("depth", [490, 900, 100_000])
def test_deep_nesting_is_an_error_of_the_client(depth: int) -> None:
    """A body that is nested too deeply for this program is refused in Go's words."""
    with pytest.raises(DecodeError, match="exceeded max depth"):
        decode(b'{"Config":' + b"[" * depth + b"]" * depth + b"}", SHAPE)
