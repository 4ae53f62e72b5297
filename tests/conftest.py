"""What all tests share: the environment of whoever runs them must not reach raftreg."""

import os
import signal

import pytest
from hypothesis import settings

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("raftreg", deadline=None)
settings.load_profile("raftreg")


# A shell that starts the tests in the background lets them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("RAFTREG_", "CONSUL_")):
            monkeypatch.delenv(name)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rewrite` takes what golden scripts print now as what they should print."""
    parser.addoption("--rewrite", action="store_true", help="rewrite the golden scripts; read the diff")
