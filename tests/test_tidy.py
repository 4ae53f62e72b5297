"""The house rules, as far as a program can check them."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from raftreg.api.routes import ROUTES
from raftreg.settings import SETTINGS, Setting

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "raftreg"
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500

# Imports point down this list only. Modules of one layer do not know each other, except in the lowest.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__main__"}),
    frozenset({"cli", "sim"}),
    frozenset({"verify"}),
    frozenset({"server", "client"}),
    frozenset({"api", "dns", "xds"}),
    frozenset({"checks", "duties"}),
    frozenset({"registry"}),
    frozenset({"watch"}),
    frozenset({"state", "consensus"}),
    frozenset({"commands"}),
    frozenset({"cluster_commands", "query_commands", "transactions"}),
    frozenset({"records"}),
    frozenset({"checkers", "codec", "instances", "templates"}),
    frozenset({"model"}),
    frozenset(
        {
            "addresses",
            "chance",
            "clock",
            "config",
            "dns_options",
            "durations",
            "garbage",
            "errors",
            "logs",
            "metrics",
            "settings",
            "ports",
            "regex",
            "versions",
        }
    ),
)
LOWEST = len(LAYERS) - 1
CLOCKS = frozenset({"time", "random", "uuid", "secrets"})
PICKLES = frozenset({"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve"})
# What a package must not import beside what its layer forbids, and why.
FORBIDDEN: dict[str, frozenset[str]] = {
    # The state is pure: the same commands give the same bytes on every node.
    "state": frozenset({"asyncio", "logging", "pysyncobj", "threading", "socket"}),
    # Consensus replicates bytes that mean nothing to it.
    "consensus": frozenset({"raftreg.commands", "raftreg.codec", "raftreg.model", "aiohttp"}),
    # The front doors ask the registry.
    "api": frozenset({"raftreg.consensus"}),
    "dns": frozenset({"raftreg.consensus"}),
    # The verifier sees what a client sees.
    "verify": frozenset(
        f"raftreg.{part}"
        for part in (
            "server",
            "api",
            "registry",
            "watch",
            "duties",
            "checks",
            "state",
            "consensus",
            "commands",
        )
    ),
    # A client is a program of its own.
    "client": frozenset({"raftreg.state", "raftreg.consensus", "raftreg.registry", "raftreg.api"}),
}
JOINS_STATE_AND_CONSENSUS = frozenset({"registry", "server", "sim"})  # sim builds whole nodes, like server


def _sources(*folders: str) -> list[Path]:
    """What is in these folders; bench/run.sh makes its virtual environment, which is not ours, in a hidden one."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def _part(path: Path) -> str:
    """The first name below raftreg: registry for raftreg/registry.py, api for raftreg/api/kv.py."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def _layer(part: str) -> int:
    for number, parts in enumerate(LAYERS):
        if part in parts:
            return number
    raise AssertionError(f"raftreg.{part} has no layer: give it one in LAYERS")


def _imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Every module that is imported, with the names of `from` imports appended, so that submodules are seen."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_where(path, node)}: a relative import"
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call as dotted text, such as `os.urandom`, with its node."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _is_under(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def test_imports_point_down_only() -> None:
    """No module imports from its own layer or from above it."""
    wrong = []
    for path in _sources("raftreg"):
        part = _part(path)
        if part == "__init__":
            continue
        for name, node in _imports(path):
            names = name.split(".")
            if names[0] != "raftreg" or len(names) < 2 or names[1] in (part, "__version__"):
                continue
            mine, theirs = _layer(part), _layer(names[1])
            if theirs < mine or (theirs == mine and mine != LOWEST):
                wrong.append(f"{_where(path, node)}: {part} imports {name}")
    assert [] == wrong


def test_packages_keep_out_of_what_is_none_of_their_business() -> None:
    """State is pure, consensus knows bytes only, the front doors know the registry only."""
    wrong = [
        f"{_where(path, node)}: {name}"
        for path in _sources("raftreg")
        for name, node in _imports(path)
        if any(_is_under(name, module) for module in FORBIDDEN.get(_part(path), ()))
    ]
    assert [] == wrong


def test_state_and_consensus_meet_in_the_registry_only() -> None:
    """Nothing but the registry, and the server that builds it, imports both."""
    both = []
    for path in _sources("raftreg"):
        names = [name for name, _ in _imports(path)]
        knows = {
            module for module in ("state", "consensus") for n in names if _is_under(n, f"raftreg.{module}")
        }
        if (
            len(knows | {_part(path)} & {"state", "consensus"}) > 1
            and _part(path) not in JOINS_STATE_AND_CONSENSUS
        ):
            both.append(str(path.relative_to(ROOT)))
    assert [] == both


def test_only_the_clock_knows_time_and_chance() -> None:
    """Everything else takes a Clock, so that a simulation can replace it."""
    wrong = []
    for path in _sources("raftreg"):
        if path in (PACKAGE / "clock.py", PACKAGE / "chance.py"):
            continue  # chance.py makes all randomness of a simulation or a verification from one seed
        wrong += [_where(path, node) for name, node in _imports(path) if name.split(".")[0] in CLOCKS]
        wrong += [
            _where(path, node)
            for call, node in _calls(path)
            if call == "os.urandom" or re.search(r"\b(datetime|date)\.(now|utcnow|today)$", call)
        ]
    assert [] == wrong


def test_nothing_imports_pickle() -> None:
    """Neither the disk nor the network may name code to run."""
    wrong = [
        f"{_where(path, node)}: {name}"
        for path in _sources("raftreg")
        for name, node in _imports(path)
        if name.split(".")[0] in PICKLES
    ]
    assert [] == wrong


def test_pysyncobj_stays_inside_consensus() -> None:
    """One package knows the library, its seams and its hazards."""
    wrong = [
        f"{_where(path, node)}: {name}"
        for path in _sources("raftreg")
        for name, node in _imports(path)
        if name.split(".")[0] == "pysyncobj" and _part(path) != "consensus"
    ]
    assert [] == wrong


def test_no_code_from_text_and_no_printing_outside_the_command_line() -> None:
    """`eval` and `exec` are banned, and what a server has to say goes to its log."""
    wrong = []
    for path in _sources("raftreg"):
        for call, node in _calls(path):
            if call in ("eval", "exec", "compile") or (call == "print" and _part(path) != "cli"):
                wrong.append(f"{_where(path, node)}: {call}")
    assert [] == wrong


def _swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches everything and says nothing."""
    broad = handler.type is None or ast.unparse(handler.type) in ("Exception", "BaseException")
    silent = all(
        isinstance(statement, ast.Pass | ast.Continue | ast.Break)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in handler.body
    )
    return handler.type is None or (broad and silent)


def test_no_exception_is_swallowed() -> None:
    """A bare except, or a broad one that does nothing, hides bugs."""
    wrong = []
    for path in _sources("raftreg", "tests", "bench"):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ExceptHandler) and _swallows(node):
                wrong.append(_where(path, node))
            if isinstance(node, ast.Call) and re.search(r"suppress\((Base)?Exception\b", ast.unparse(node)):
                wrong.append(_where(path, node))
    assert [] == wrong


def test_functions_and_modules_stay_small() -> None:
    """No function beyond 70 lines, no module beyond 500; the aim is 50 and 300."""
    wrong = []
    for path in _sources("raftreg", "tests", "bench"):
        length = len(path.read_text(encoding="utf-8").splitlines())
        if length > MODULE_LINES_MAX:
            wrong.append(f"{path.relative_to(ROOT)}: {length} lines")
        for function in _functions(path):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                wrong.append(f"{_where(path, function)}: {function.name} has {lines} lines")
    assert [] == wrong


def test_every_module_says_what_it_is_for() -> None:
    """Each module has a docstring, and no module is named after nothing."""
    wrong = []
    for path in _sources("raftreg", "tests", "bench"):
        if not ast.get_docstring(_tree(path)) or path.stem in ("utils", "helpers", "misc", "common"):
            wrong.append(str(path.relative_to(ROOT)))
    assert [] == wrong


def test_nothing_is_left_for_later() -> None:
    """Reminders, skipped tests and paths of one machine do not go in."""
    pattern = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b|pytest\.(skip|mark\.skip)\b|(?<![\w.])/wo" r"rk/")
    wrong = []
    for path in _sources("raftreg", "tests", "bench"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert [] == wrong


def _asserts(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a test can fail by what it observes: an assert, pytest.raises, or a helper named after checking.

    A property test may also state that nothing unexpected is raised, whatever the input.
    """
    if any(ast.unparse(decorator).startswith("given(") for decorator in function.decorator_list):
        return True
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2].lstrip("_")
            if name in ("raises", "warns") or name.startswith(("assert", "check", "expect")):
                return True
    return False


def test_every_test_states_a_behaviour_and_asserts_it() -> None:
    """A test without a sentence or without an assertion says nothing."""
    wrong = []
    for path in _sources("tests"):
        if not path.name.startswith("test_"):
            continue
        for function in _functions(path):
            if function.name.startswith("test_"):
                if not ast.get_docstring(function):
                    wrong.append(f"{_where(path, function)}: {function.name} has no docstring")
                if not _asserts(function):
                    wrong.append(f"{_where(path, function)}: {function.name} asserts nothing")
    assert [] == wrong


@cache
def _readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_readme_shows_each_setting(setting: Setting) -> None:
    """The table of settings has a row with name, default and meaning of each."""
    default = "" if setting.default is None else f"`{setting.default}`"
    assert f"| `{setting.name}` | {default} | {setting.help} |".replace("|  |", "| |") in _readme()


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_readme_shows_each_route(path: str) -> None:
    """Every path that is answered is in the README."""
    assert f"`{path}`" in _readme()
