"""What an answer is compared with: plain JSON, in which an object of names that begin with `$` is a matcher.

Objects must have exactly the named fields and lists exactly the elements, in order. `${name}`, `${name+1}` and
`${name-1}` in strings stand for what was captured before. README.md in this directory lists the matchers.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Known = dict[str, Any]  # what the scenario has captured so far, by name
_VARIABLE = re.compile(r"\$\{(\w+)([+-]\d+)?\}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHOWN_MAX = 300  # characters of a value in the text of a mismatch


class Mismatch(AssertionError):
    """An answer is not what the scenario says; the text names the place, what was expected and what came."""


def shown(value: Any) -> str:
    """A value as JSON, cut to what a person reads."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}... ({len(text)} characters)"


def fill(text: str, known: Known) -> str:
    """The text with its variables replaced. Mismatch if one was never captured."""

    def value(found: re.Match[str]) -> str:
        captured = lookup(found[1], known)
        return str(int(captured) + int(found[2])) if found[2] else str(captured)

    return _VARIABLE.sub(value, text)


def lookup(name: str, known: Known) -> Any:
    """What was captured under the name. Mismatch if nothing was."""
    if name not in known:
        raise Mismatch(f"nothing was captured as {name}")
    return known[name]


def match(expected: Any, actual: Any, known: Known, where: str) -> None:
    """Mismatch unless `actual` is as expected. What is captured on the way goes into `known`."""
    if _is_matcher(expected):
        for name, argument in expected.items():
            _MATCHERS[name](argument, actual, known, where)
    elif isinstance(expected, dict):
        _match_object(expected, actual, known, where)
    elif isinstance(expected, list):
        _match_list(expected, actual, known, where)
    elif isinstance(expected, str):
        _demand(fill(expected, known) == actual, where, fill(expected, known), actual)
    else:
        # In Python true equals 1, in JSON it does not.
        same_kind = isinstance(expected, bool) is isinstance(actual, bool)
        _demand(same_kind and expected == actual, where, expected, actual)


def match_or_leave(expected: Any, actual: Any, known: Known, where: str) -> None:
    """The same, but a mismatch captures nothing."""
    trial = dict(known)
    match(expected, actual, trial, where)
    known.update(trial)


def _is_matcher(expected: Any) -> bool:
    return (
        isinstance(expected, dict)
        and bool(expected)
        and all(name.startswith("$") and not name.startswith("${") for name in expected)
    )


def _demand(holds: bool, where: str, expected: Any, actual: Any) -> None:
    if not holds:
        raise Mismatch(f"{where}: expected {shown(expected)}, got {shown(actual)}")


def _match_object(expected: Mapping[str, Any], actual: Any, known: Known, where: str) -> None:
    _demand(isinstance(actual, dict), where, expected, actual)
    _match_fields(expected, actual, known, where)
    surplus = {key: actual[key] for key in actual if key not in {fill(name, known) for name in expected}}
    if surplus:
        raise Mismatch(f"{where}: unexpected {shown(surplus)}")


def _match_fields(expected: Mapping[str, Any], actual: Mapping[str, Any], known: Known, where: str) -> None:
    for template, value in expected.items():
        name = fill(template, known)
        special = value if _is_matcher(value) else {}
        if name in actual:
            match(value, actual[name], known, f"{where}.{name}")
        elif "$absent" not in special and "$optional" not in special:
            raise Mismatch(f"{where}.{name}: missing, expected {shown(value)}")


def _match_list(expected: list[Any], actual: Any, known: Known, where: str) -> None:
    _demand(isinstance(actual, list) and len(expected) == len(actual), where, expected, actual)
    for number, (theirs, ours) in enumerate(zip(expected, actual, strict=True)):
        match(theirs, ours, known, f"{where}[{number}]")


Matcher = Callable[[Any, Any, Known, str], None]


def _kind(name: str, holds: Callable[[Any], bool]) -> Matcher:
    def matcher(argument: Any, actual: Any, known: Known, where: str) -> None:
        if not holds(actual):
            raise Mismatch(f"{where}: expected {name}, got {shown(actual)}")

    return matcher


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _compared(word: str, holds: Callable[[int, int], bool]) -> Matcher:
    def matcher(argument: Any, actual: Any, known: Known, where: str) -> None:
        bound = int(lookup(argument, known) if isinstance(argument, str) else argument)
        if not re.fullmatch(r"-?\d+", str(actual)) or not holds(int(actual), bound):
            raise Mismatch(f"{where}: expected a number {word} {bound} ({argument}), got {shown(actual)}")

    return matcher


def _sized(word: str, holds: Callable[[int, int], bool]) -> Matcher:
    def matcher(argument: Any, actual: Any, known: Known, where: str) -> None:
        if not hasattr(actual, "__len__") or not holds(len(actual), argument):
            raise Mismatch(f"{where}: expected {word} {argument} elements, got {shown(actual)}")

    return matcher


def _capture(argument: str, actual: Any, known: Known, where: str) -> None:
    known[argument] = actual


def _same_as(argument: str, actual: Any, known: Known, where: str) -> None:
    _demand(str(lookup(argument, known)) == str(actual), where, lookup(argument, known), actual)


def _not_same_as(argument: str, actual: Any, known: Known, where: str) -> None:
    if str(lookup(argument, known)) == str(actual):
        raise Mismatch(f"{where}: expected anything but {argument}, got {shown(actual)}")


def _pattern(argument: str, actual: Any, known: Known, where: str) -> None:
    pattern = fill(argument, known)
    if not isinstance(actual, str) or not re.search(pattern, actual, re.DOTALL):
        raise Mismatch(f"{where}: expected text with /{pattern}/, got {shown(actual)}")


def _subset(argument: Mapping[str, Any], actual: Any, known: Known, where: str) -> None:
    _demand(isinstance(actual, dict), where, argument, actual)
    _match_fields(argument, actual, known, where)


def _has(argument: list[Any], actual: Any, known: Known, where: str) -> None:
    _demand(isinstance(actual, list), where, argument, actual)
    for expected in argument:
        _one_of(
            [(expected, value) for value in actual], known, where, f"no element is {shown(expected)}", actual
        )


def _any_order(argument: list[Any], actual: Any, known: Known, where: str) -> None:
    _demand(isinstance(actual, list) and len(actual) == len(argument), where, argument, actual)
    _has(argument, actual, known, where)


def _alternatives(argument: list[Any], actual: Any, known: Known, where: str) -> None:
    _one_of([(expected, actual) for expected in argument], known, where, "no alternative fits", actual)


def _one_of(pairs: list[tuple[Any, Any]], known: Known, where: str, otherwise: str, actual: Any) -> None:
    """The first pair that matches captures; Mismatch if none does, with what the last difference was."""
    difference = ""
    for expected, value in pairs:
        try:
            match_or_leave(expected, value, known, where)
            return
        except Mismatch as error:
            difference = str(error)
    raise Mismatch(f"{where}: {otherwise}, got {shown(actual)}; last difference: {difference}")


def _each(argument: Any, actual: Any, known: Known, where: str) -> None:
    _demand(isinstance(actual, list), where, [argument], actual)
    for number, value in enumerate(actual):
        match(argument, value, known, f"{where}[{number}]")


def _lacks(argument: str, actual: Any, known: Known, where: str) -> None:
    if fill(argument, known) in json.dumps(actual, ensure_ascii=False):
        raise Mismatch(f"{where}: must not mention {fill(argument, known)}, got {shown(actual)}")


def _anything(argument: Any, actual: Any, known: Known, where: str) -> None:
    return None


_MATCHERS: dict[str, Matcher] = {
    "$any": _anything,
    "$optional": _anything,
    "$absent": _kind("nothing", lambda value: False),
    "$int": _kind("an integer", lambda value: _is_number(value, int)),
    "$num": _kind("a number", lambda value: _is_number(value, int, float)),
    "$intstr": _kind("decimal digits", lambda value: bool(re.fullmatch(r"\d+", str(value)))),
    "$str": _kind("text", lambda value: isinstance(value, str)),
    "$bool": _kind("true or false", lambda value: isinstance(value, bool)),
    "$obj": _kind("an object", lambda value: isinstance(value, dict)),
    "$list": _kind("a list", lambda value: isinstance(value, list)),
    "$uuid": _kind("a UUID", lambda value: isinstance(value, str) and bool(_UUID.fullmatch(value))),
    "$re": _pattern,
    "$len": _sized("exactly", lambda size, wanted: size == wanted),
    "$minlen": _sized("at least", lambda size, wanted: size >= wanted),
    "$cap": _capture,
    "$same_as": _same_as,
    "$not_same_as": _not_same_as,
    "$gt": _compared("above", lambda value, bound: value > bound),
    "$gte": _compared("from", lambda value, bound: value >= bound),
    "$lt": _compared("below", lambda value, bound: value < bound),
    "$lte": _compared("up to", lambda value, bound: value <= bound),
    "$subset": _subset,
    "$has": _has,
    "$unordered": _any_order,
    "$oneof": _alternatives,
    "$each": _each,
    "$lacks": _lacks,
}
