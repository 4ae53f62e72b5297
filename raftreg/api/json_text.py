"""JSON text into Python values, with the errors of Go's encoding/json for what does not parse."""

import json
import re
from typing import Final, NoReturn

TOO_DEEP: Final = "exceeded max depth"
_BLANKS: Final = " \t\n\r"


class DecodeError(ValueError):
    """The body is not what was expected; the message says why in Go's words."""


class Number(float):
    """A JSON number that is written with a point or an exponent, with its text."""

    text: str


def parse_json(body: bytes) -> object:
    """The first JSON value of the body; numbers with a point or an exponent are floats that know their text."""
    text = body.decode("utf-8", "replace")
    start = len(text) - len(text.lstrip(_BLANKS))
    if start == len(text):
        raise DecodeError("EOF")
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise DecodeError(_syntax_error(text, error)) from None
    except RecursionError:
        raise DecodeError(TOO_DEEP) from None
    except ValueError as error:
        raise DecodeError(str(error)) from None
    return value


def _number(text: str) -> float:
    number = Number(text)
    number.text = text
    return number


def _constant(name: str) -> NoReturn:
    raise ValueError(f"invalid character {_character(name.lstrip('-')[0])} looking for beginning of value")


def _integer(text: str) -> int | float:
    """An integer, or a float that knows its text where no machine word would hold it."""
    return int(text) if len(text) <= 20 else _number(text)


_DECODER = json.JSONDecoder(parse_float=_number, parse_int=_integer, parse_constant=_constant)


def _syntax_error(text: str, error: json.JSONDecodeError) -> str:
    """The error of Python's parser in the words of Go's, as near as the position tells."""
    position = error.pos
    if error.msg.startswith("Unterminated string"):
        return "unexpected EOF"
    if position >= len(text.rstrip(_BLANKS)):
        return "unexpected EOF"
    for literal in ("null", "true", "false"):
        length = _common_length(text[position:], literal)
        if length:
            if position + length >= len(text):
                return "unexpected EOF"
            wrong = _character(text[position + length])
            return f"invalid character {wrong} in literal {literal} (expecting {_character(literal[length])})"
    where = "looking for beginning of value"
    if error.msg.startswith("Expecting property name"):
        where = "looking for beginning of object key string"
    elif error.msg.startswith("Expecting ':'"):
        where = "after object key"
    elif error.msg.startswith("Expecting ','"):
        where = "after array element" if _innermost(text[:position]) == "[" else "after object key:value pair"
    elif error.msg.startswith(("Invalid control", "Invalid \\")):
        where = "in string literal" if error.msg.startswith("Invalid control") else "in string escape code"
    return f"invalid character {_character(text[position])} {where}"


def _common_length(text: str, literal: str) -> int:
    length = 0
    while length < len(literal) and text[length : length + 1] == literal[length]:
        length += 1
    return length if length < len(literal) else 0


def _innermost(text: str) -> str:
    """The bracket that is open at the end of `text`, brackets within strings aside."""
    opened: list[str] = []
    for bracket in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text, re.S):
        if bracket in ("[", "{"):
            opened.append(bracket)
        elif bracket in ("]", "}") and opened:
            opened.pop()
    return opened[-1] if opened else ""


def _character(character: str) -> str:
    """One character as Go quotes it in messages."""
    return {"'": "'\\''", '"': "'\"'", "\n": "'\\n'", "\t": "'\\t'", "\r": "'\\r'"}.get(
        character, f"'{character}'"
    )
