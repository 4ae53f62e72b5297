#!/usr/bin/env bash
# The benchmarks, from a clean clone: makes a virtual environment in bench/.venv and runs `python -m bench`.
#
#   bench/run.sh --quick --versus consul,etcd
#   bench/run.sh --help
#
# Needs Python 3.11 or newer. Peers are measured when their programs are installed (Debian has etcd-server and, in
# older releases, consul); wrk, where it is installed, makes the load.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source cluster/venv.sh
make_venv bench/.venv bench
exec bench/.venv/bin/python -m bench "$@"
