"""`raftreg verify`: load and faults on a cluster, and a verdict on what it promised."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raftreg.cli.client import CommandFailed
from raftreg.verify.options import (
    FAULTS,
    NODE_COUNTS,
    WAYS,
    WORKLOADS,
    Options,
    WrongUse,
    parse_pairs,
    parse_urls,
)

if TYPE_CHECKING:
    from raftreg.verify.remote import Remote

INTERRUPTED = 130  # as a shell says of a program that Ctrl-C ended
_FAULT_LINES = "\n".join(f"  {name:13}{meaning}" for name, meaning in FAULTS.items())
HELP = f"""Is it true? Load and faults on a cluster, everything that clients saw recorded, and a verdict.

\b
  raftreg verify                          three nodes on this machine, 30 seconds, every fault
  raftreg verify --nodes 5 --seconds 600
  raftreg verify --http 10.0.0.1:8500,10.0.0.2:8500,10.0.0.3:8500     a running one, no faults
  raftreg verify --http ... --allow-faults --docker n1=reg-1,n2=reg-2,n3=reg-3

Without --http it starts a cluster of its own in a temporary directory, on free ports, its nodes joined through proxies
that can be cut; it needs no root, and nothing stays. With --http it verifies any cluster that speaks Consul's API,
writes under names of its own (raftreg-verify/...), removes them at the end, and disturbs nothing unless --allow-faults
is given with a way to act on the nodes.

\b
What the clients do (--workloads):
  registers    keys read in every mode, written, compared-and-set     linearizable? own writes seen?
  set          keys made once and removed                             lost? back again? done twice?
  bank         transfers and reads of all accounts by transactions    one moment? lost updates?
  locks        sessions take turns and write under the lock           exclusive? tokens growing?
  services     registrations, deregistrations, checks                 nobody dropped? right status?

\b
What is done to the nodes (--faults, all by default, or none):
{_FAULT_LINES}

Each check ends as PASS, FAIL with the calls that show it, or EMPTY where nothing was seen that could prove anything.

\b
Exit codes: 0 every check passed; 1 one failed or had no evidence, or nothing could be done;
  2 wrong usage; 130 Ctrl-C.
"""


def _names(known: tuple[str, ...]) -> Any:
    """An option's callback: words separated by commas, of these; `all` and `none` too."""

    def parse(context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
        if text in ("all", "none"):
            return known if text == "all" else ()
        chosen = [word.strip() for word in text.split(",")]
        for word in chosen:
            if word not in known:
                raise click.BadParameter(f'"{word}" is none of {", ".join(known)}', context, parameter)
        return tuple(name for name in known if name in chosen)

    return parse


@click.command(help=HELP, short_help="Test a cluster under load and faults, and give a verdict.")
@click.option(
    "--nodes",
    type=click.Choice([str(count) for count in NODE_COUNTS]),
    default="3",
    help="Size of the cluster that is started.  [3]",
)
@click.option(
    "--http",
    metavar="URL,...",
    help="A running cluster instead; nodes may be named: n1=http://10.0.0.1:8500,...",
)
@click.option("--seconds", type=click.FloatRange(min=1.0), default=30.0, help="How long the load runs.  [30]")
@click.option("--seed", type=int, default=1, help="Decides the faults and what the clients choose.  [1]")
@click.option(
    "--workloads",
    metavar="NAME,...",
    default="all",
    callback=_names(WORKLOADS),
    help="Some of those above.  [all]",
)
@click.option(
    "--faults",
    metavar="NAME,...",
    default="all",
    callback=_names(tuple(FAULTS)),
    help="Some of those above, all, or none.  [all]",
)
@click.option("--clients", type=click.IntRange(min=1), default=15, help="How many at the same time.  [15]")
@click.option(
    "--rate",
    type=click.FloatRange(min=0.0),
    default=600.0,
    help="Calls per second in all, at most; 0 for no limit.  [600]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=3.0,
    help="Seconds after which a client gives up on a call.  [3]",
)
@click.option(
    "--allow-faults", is_flag=True, help="Disturb the cluster that --http names, by one of the next five:"
)
@click.option("--pids", metavar="NODE=PID,...", help="Processes on this machine; they are only paused.")
@click.option("--systemd", metavar="NODE=UNIT,...", help="Units on this machine.")
@click.option("--docker", metavar="NODE=NAME,...", help="Containers.")
@click.option("--kubectl", metavar="NODE=POD,...", help="Pods that their controller starts again.")
@click.option(
    "--fault-script",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Called with: kill|stop|start|pause|resume NODE, cut FROM TO, heal. Exit code 3: cannot do that.",
)
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("raftreg-verify.html"),
    help="The page with pictures.  [raftreg-verify.html]",
)
@click.option("--no-report", is_flag=True, help="Write no page.")
@click.option("--json", "as_json", is_flag=True, help="The verdict as JSON on standard output.")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    help="Where the nodes that are started keep their data.  [temporary]",
)
@click.option("--keep", is_flag=True, help="Leave data and logs, or the keys in a running cluster, behind.")
@click.option("--quiet", is_flag=True, help="No progress.")
def verify(**given: Any) -> None:
    """See HELP."""
    try:
        options, target = _options(given), _target(given)
    except (ValueError, WrongUse) as error:
        raise click.UsageError(str(error)) from None
    # Imported here, because no other command needs it.
    from raftreg.cli.verify_progress import ProgressLine, show_verdict
    from raftreg.verify.report import page
    from raftreg.verify.run import Interrupted, verify
    from raftreg.verify.summary import document
    from raftreg.verify.verdict import all_passed

    line = ProgressLine(is_quiet=given["quiet"])
    try:
        finished = verify(options, target, line.show)
    except Interrupted:
        line.end()
        click.echo("stopped: everything was ended, and there is no verdict", err=True)
        sys.exit(INTERRUPTED)
    finally:
        line.end()
    if options.report is not None:
        _write(options.report, page(finished.run, finished.verdicts, finished.staleness))
    if given["as_json"]:
        click.echo(json.dumps(document(finished.run, finished.verdicts, finished.staleness), indent=2))
    else:
        show_verdict(finished)
    sys.exit(0 if all_passed(finished.verdicts) else 1)


def _options(given: dict[str, Any]) -> Options:
    """WrongUse or ValueError if they do not go together."""
    urls = parse_urls(given["http"]) if given["http"] else {}
    faults = given["faults"]
    if urls and not given["allow_faults"]:
        faults = ()
    if not given["workloads"]:
        raise WrongUse("--workloads none: nothing would be looked at")
    report = None if given["no_report"] else given["report"]
    if report is not None and not os.access(report.absolute().parent, os.W_OK):
        raise WrongUse(f"--report {report} cannot be written: choose another folder, or give --no-report")
    return Options(
        seconds=given["seconds"],
        seed=given["seed"],
        nodes=int(given["nodes"]),
        urls=urls,
        faults=faults,
        workloads=given["workloads"],
        clients=given["clients"],
        rate=given["rate"],
        timeout_s=given["timeout"],
        report=report,
        data=given["data"],
        keep=given["keep"],
    )


def _target(given: dict[str, Any]) -> "Remote | None":
    """The running cluster, None for one that is to be started. WrongUse or ValueError as above."""
    ways = [way for way in WAYS if given[way]]
    script = given["fault_script"]
    if not given["http"]:
        if ways or script or given["allow_faults"]:
            raise WrongUse(
                "a cluster that is started here needs no way to act on it: leave that out, or give --http"
            )
        return None
    urls = parse_urls(given["http"])
    if given["allow_faults"] != bool(ways or script):
        raise WrongUse(
            "--allow-faults needs one of --pids, --systemd, --docker, --kubectl, --fault-script, and they need it"
        )
    if len(ways) + bool(script) > 1:
        raise WrongUse("give one way to act on the nodes")
    names = parse_pairs(given[ways[0]], "NAME") if ways else {}
    unknown = sorted(set(names) - set(urls))
    if unknown:
        raise WrongUse(f"{unknown[0]} is no node: --http names {', '.join(urls)}")
    from raftreg.verify.remote import Remote

    return Remote(urls, ways[0] if ways else "", names, script.resolve() if script else None)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}") from None
