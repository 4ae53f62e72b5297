"""The words about a run that the terminal, the page and the JSON share."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from raftreg.checkers.history import Operation
from raftreg.verify.drive import Run
from raftreg.verify.faults import KINDS
from raftreg.verify.options import WORKLOADS, Options
from raftreg.verify.staleness import Staleness
from raftreg.verify.verdict import Outcome, Verdict


def verdict_word(verdicts: Sequence[Verdict]) -> Outcome:
    """FAIL if anything is wrong, EMPTY if something was not seen, else PASS."""
    found = {verdict.outcome for verdict in verdicts}
    if Outcome.FAIL in found:
        return Outcome.FAIL
    return Outcome.EMPTY if Outcome.EMPTY in found or not found else Outcome.PASS


def headline(run: Run, verdicts: Sequence[Verdict]) -> str:
    """One sentence."""
    count = Counter(verdict.outcome for verdict in verdicts)
    match verdict_word(verdicts):
        case Outcome.FAIL:
            return f"{count[Outcome.FAIL]} of {len(verdicts)} checks failed"
        case Outcome.EMPTY:
            return f"Nothing wrong was seen, but {count[Outcome.EMPTY]} of {len(verdicts)} checks had no evidence"
        case _:
            return f"All {len(verdicts)} checks passed"


def tried(run: Run) -> list[tuple[str, str]]:
    """Figures of what was tried, each with its meaning."""
    record = run.record
    done = [fault for fault in record.faults if not fault.problem]
    return [
        (f"{record.ended_s - record.began_s:.0f} s", "of load"),
        (f"{len(record.calls):,}", "calls"),
        (f"{record.count():,}", "answered"),
        (f"{record.unknown:,}", "writes of unknown outcome"),
        (str(len(done)), "faults"),
        (str(len({fault.kind for fault in done})), f"kinds of fault, of {len(KINDS)}"),
        (str(run.options.seed), "was the seed"),
    ]


def fault_counts(run: Run) -> str:
    """How often each kind of fault was made, and which were asked for and not made."""
    counts = Counter(fault.kind for fault in run.record.faults if not fault.problem)
    shown = ", ".join(f"{kind} {counts[kind]}" for kind in KINDS if counts[kind]) or "none"
    missing = [kind for kind in run.options.faults if not counts[kind] and kind not in run.left_out]
    if missing:
        shown += f"; no time for {', '.join(missing)}"
    if run.left_out:
        shown += f"; not possible here: {', '.join(run.left_out)}"
    return shown


def replay_command(options: Options) -> str:
    """The command that makes the same faults."""
    words = ["raftreg verify"]
    if options.urls:
        words.append(
            "--http " + ",".join(f"{node}=http://{address}" for node, address in options.urls.items())
        )
    else:
        words.append(f"--nodes {options.nodes}")
    words.append(f"--seconds {options.seconds:g} --seed {options.seed}")
    if options.workloads != WORKLOADS:
        words.append(f"--workloads {','.join(options.workloads)}")
    if options.faults != tuple(KINDS):
        words.append(f"--faults {','.join(options.faults) or 'none'}")
    return " ".join(words)


def document(run: Run, verdicts: Sequence[Verdict], staleness: Staleness | None) -> dict[str, Any]:
    """Everything as JSON; times are seconds from the beginning of the load."""
    record, began = run.record, run.record.began_s
    return {
        "verdict": verdict_word(verdicts),
        "headline": headline(run, verdicts),
        "product": run.product,
        "nodes": list(run.nodes),
        "absent": dict(run.absent),
        "seed": run.options.seed,
        "replay": replay_command(run.options),
        "tried": {
            "seconds": round(record.ended_s - began, 3),
            "calls": len(record.calls),
            "answered": record.count(),
            "unknown_outcomes": record.unknown,
            "faults": dict(Counter(fault.kind for fault in record.faults if not fault.problem)),
            "faults_left_out": list(run.left_out),
        },
        "checks": [
            {
                "check": verdict.check,
                "outcome": verdict.outcome,
                "text": verdict.text,
                "proof": [_call(each, began) for each in verdict.proof],
            }
            for verdict in verdicts
        ],
        "faults": [
            {
                "kind": fault.kind,
                "text": fault.text,
                "since": round(fault.since_s - began, 3),
                "until": round((fault.until_s or record.ended_s) - began, 3),
                "problem": fault.problem,
            }
            for fault in record.faults
        ],
        "recovered_seconds": run.recovered_s,
        "staleness_seconds": None if staleness is None else _quantiles(staleness),
    }


def _quantiles(staleness: Staleness) -> dict[str, float]:
    marks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "most": 1.0}
    return {"reads": len(staleness.ages_s)} | {
        name: staleness.quantile(share) for name, share in marks.items()
    }


def _call(operation: Operation, began_s: float) -> dict[str, Any]:
    end = operation.returned_s
    return {
        "client": operation.client,
        "kind": operation.kind,
        "key": operation.key,
        "argument": _plain(operation.argument),
        "result": _plain(operation.result),
        "invoked": round(operation.invoked_s - began_s, 6),
        "returned": None if end is None else round(end - began_s, 6),
        "ok": operation.ok,
    }


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | list | tuple | bool | None) else str(value)
