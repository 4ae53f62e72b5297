#!/usr/bin/env bash
# Everything that must hold before a change goes in: format, lint, types, tests. Arguments go to pytest.
#
#   ./tests/run.sh                       all of it
#   ./tests/run.sh tests/state -k kv     the checks, and only these tests
#   ./tests/run.sh --clients             fetch real clients of Consul and run the tests that drive them
#
# Needs Python 3.11 or newer (PYTHON=... chooses one) and makes its own virtual environment in .venv-test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

if [[ ${1:-} == --clients ]]; then
    shift
    ./tests/clients/install.sh
    export RAFTREG_CLIENTS=all
    set -- tests/clients "$@"
fi

source cluster/venv.sh
make_venv .venv-test dev
bin=.venv-test/bin

"$bin/ruff" format --check .
"$bin/ruff" check .
"$bin/mypy" raftreg tests bench
# What starts real processes has the machine for itself; the rest is shared by its cores.
if (($# == 0)); then
    processes=(tests/e2e tests/verify tests/clients)
    "$bin/python" -m pytest --numprocesses auto --dist loadfile "${processes[@]/#/--ignore=}"
    exec "$bin/python" -m pytest "${processes[@]}"
fi
exec "$bin/python" -m pytest "$@"
