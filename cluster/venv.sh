# Sourced by tests/run.sh and cluster/up.sh, from the top of the clone. Makes a virtual environment once, and again
# when pyproject.toml or the interpreter changed.

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "raftreg needs Python 3.11 or newer: install it, or name one with PYTHON=/path/to/python" >&2
    return 1
}

# make_venv DIRECTORY [EXTRA]: DIRECTORY/bin/python then runs raftreg from this clone.
make_venv() {
    local directory=$1 extra=${2:-} python stamp
    python=$(find_python)
    stamp="$("$python" -c 'import sys; print(sys.version)') $PWD $extra $(cksum <pyproject.toml)"
    if [[ -x $directory/bin/python && "$(cat "$directory/stamp" 2>/dev/null)" == "$stamp" ]]; then
        compile_sources "$directory"
        return
    fi
    echo "making $directory with $("$python" --version) ..." >&2
    rm -rf "$directory"
    if ! "$python" -m venv "$directory"; then
        echo "$python has no working venv module (on Debian and Ubuntu: apt install python3-venv)" >&2
        return 1
    fi
    PIP_DISABLE_PIP_VERSION_CHECK=1 "$directory/bin/python" -m pip install -qq --no-input \
        --editable ".${extra:+[$extra]}" >&2
    printf '%s\n' "$stamp" >"$directory/stamp"
    compile_sources "$directory"
}

# Compiles raftreg now, or each process would do it anew where PYTHONDONTWRITEBYTECODE is set: half a second a start.
# A clone that cannot be written to works as it is, so a failure is none.
compile_sources() {
    "$1/bin/python" -m compileall -q raftreg >/dev/null 2>&1 || :
}
