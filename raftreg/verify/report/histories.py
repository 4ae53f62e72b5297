"""A history drawn: a row for each client, a bar for each call from its invocation to its answer."""

from collections.abc import Sequence
from dataclasses import replace

from raftreg.checkers.history import Operation
from raftreg.verify.report.svg import Scale, box, drawing, line, seconds, text

WIDTH, LEFT, RIGHT = 1180.0, 92.0, 12.0
ROW, BAR = 34.0, 15.0
SHOWN_MAX = 24
CHARACTER = 6.2  # the width of a bold letter, on average
WORDS_MAX = 96


def words(operation: Operation) -> str:
    """A call and its answer in words, cut where they are too many; the JSON has them all."""
    full = _in_full(operation)
    return full if len(full) <= WORDS_MAX else f"{full[: WORDS_MAX - 2]} …"


def _in_full(operation: Operation) -> str:
    asked = "" if operation.argument is None else f" {_plain(operation.argument)}"
    if operation.ok is None:
        return f"{operation.kind}{asked} → ?"
    if operation.ok is False:
        return f"{operation.kind}{asked} → refused"
    if operation.kind in ("read",) or operation.result is not None:
        return f"{operation.kind}{asked} → {_plain(operation.result)}"
    return f"{operation.kind}{asked} → done"


def _plain(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(_plain(part) for part in value) + ")" if value else "nothing"
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def history(operations: Sequence[Operation], began_s: float) -> str:
    """The picture; of a long history its end. The last call of all is the one that is wrong."""
    moved = [_moved(each, began_s) for each in operations]
    culprit = moved[-1]
    ordered = sorted(moved, key=lambda each: (each.ended_s, each.invoked_s))
    last_known = [each for each in ordered if each.returned_s is not None]
    shown = ordered if len(ordered) <= SHOWN_MAX else [*last_known[-SHOWN_MAX:]]
    shown = sorted(shown, key=lambda each: each.invoked_s)
    moments = [each.invoked_s for each in shown] + [
        each.returned_s for each in shown if each.returned_s is not None
    ]
    start, end = min(moments), max(moments)
    slack = max((end - start) * 0.04, 0.0005)
    x = Scale(start - slack, end + slack, LEFT, WIDTH - RIGHT)
    rows = _rows(shown, x)
    parts: list[str] = []
    height = len(rows) * ROW + 12.0
    for number, (client, calls) in enumerate(rows):
        y = 10.0 + number * ROW
        parts.append(line(LEFT, y + ROW - 6.0, WIDTH - RIGHT, y + ROW - 6.0, "grid"))
        parts.append(text(LEFT - 8.0, y + 20.0, f"client {client}", "label", "end"))
        for call in calls:
            parts += _bar(call, x, y, is_culprit=call is culprit)
    for tick in x.ticks(8):
        parts.append(line(x(tick), 4.0, x(tick), height, "grid upright"))
        parts.append(text(x(tick), height + 14.0, f"{tick:.6g}", "label", "middle"))
    parts.append(text(WIDTH - RIGHT, height + 29.0, "seconds from the beginning of the load", "label", "end"))
    left_out = len(operations) - len(shown)
    if left_out > 0:
        parts.append(text(LEFT, height + 29.0, f"{left_out} earlier calls are in the JSON only", "label"))
    return drawing(WIDTH, height + 36.0, parts, "The calls that show the violation")


def _moved(operation: Operation, began_s: float) -> Operation:
    """The call with times from the beginning of the load."""
    end = operation.returned_s
    return replace(
        operation, invoked_s=operation.invoked_s - began_s, returned_s=None if end is None else end - began_s
    )


def _rows(operations: Sequence[Operation], x: Scale) -> list[tuple[int, list[Operation]]]:
    """By client, and where words would lie over one another in a further row."""
    rows: list[tuple[int, list[Operation]]] = []
    taken: list[float] = []
    for call in operations:
        begin, reach = _words_at(call, x)
        begin, reach = min(begin, x(call.invoked_s)), max(reach, x(call.returned_s or call.invoked_s))
        for number, (client, calls) in enumerate(rows):
            if client == call.client and taken[number] < begin:
                calls.append(call)
                taken[number] = reach + 8.0
                break
        else:
            rows.append((call.client, [call]))
            taken.append(reach + 8.0)
    order = {client: place for place, client in enumerate(dict.fromkeys(client for client, _ in rows))}
    return sorted(rows, key=lambda row: order[row[0]])


def _words_at(call: Operation, x: Scale) -> tuple[float, float]:
    """Where the words begin and end: at the bar, moved left if they would leave the picture."""
    width = len(words(call)) * CHARACTER + 6.0
    begin = max(LEFT + 2.0, min(x(call.invoked_s), WIDTH - RIGHT - width))
    return begin, begin + width


def _bar(call: Operation, x: Scale, y: float, *, is_culprit: bool) -> list[str]:
    start = x(call.invoked_s)
    end = x(call.returned_s) if call.returned_s is not None else WIDTH - RIGHT
    kind = "call" if call.ok else "call-open" if call.ok is None else "call-refused"
    span = "never answered" if call.returned_s is None else seconds(call.returned_s - call.invoked_s)
    hint = f"{_in_full(call)}, {span}"
    begin, _ = _words_at(call, x)
    return [
        box(
            start, y + 14.0, max(2.5, end - start), BAR - 6.0, f"{kind} culprit" if is_culprit else kind, hint
        ),
        text(begin, y + 10.0, words(call), "label strong" if is_culprit else "label", hint=hint),
    ]
