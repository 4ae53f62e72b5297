"""Runs the golden scripts of `scripts/`."""

from pathlib import Path

import pytest

from tests.state.scripts import run_script, scripts


@pytest.mark.parametrize("path", scripts(), ids=lambda path: path.stem)
def test_script_prints_what_it_says(path: Path, request: pytest.FixtureRequest) -> None:
    """Every golden script prints exactly what is written in it."""
    expected = path.read_text(encoding="utf-8")
    actual = run_script(expected)
    if request.config.getoption("--rewrite"):
        path.write_text(actual, encoding="utf-8")
    else:
        assert expected == actual
