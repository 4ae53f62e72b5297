#!/usr/bin/env bash
# Fetches the clients that the tests here drive into .clients/, each from its own registry. Nothing outside that
# directory is touched, and nothing that is there already is fetched again. A client that cannot be had is named, and
# its tests are skipped.
#
#   ./tests/clients/install.sh [NAME...]     all, or these: py-consul python-consul node consul prometheus haproxy patroni
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec </dev/null

source cluster/venv.sh
python=$(find_python) || exit 1
export PIP_DISABLE_PIP_VERSION_CHECK=1
root=$PWD/.clients
mkdir -p "$root"

# venv NAME REQUIREMENT...: a virtual environment in .clients/NAME.
venv() {
    local name=$1
    shift
    "$python" -m venv "$root/$name" && "$root/$name/bin/pip" install -qq --no-input "$@"
}

# private_apt SUITE ARGUMENT...: apt-get with lists, cache and sources of its own, from the mirror that this machine uses.
private_apt() {
    local suite=$1 home=$root/apt-$1 mirror
    shift
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 '/debian/\?$') || return 1
    mkdir -p "$home"/{lists/partial,cache/archives/partial}
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$home/sources.list"
    apt-get -qq -o Dir::Etc::sourcelist="$home/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$home/lists" \
        -o Dir::Cache="$home/cache" -o APT::Sandbox::User="$(id -un)" "$@"
}

# debian NAME SUITE PACKAGE...: the packages of that suite, unpacked into .clients/NAME.
debian() {
    local name=$1 suite=$2 package
    shift 2
    mkdir -p "$root/$name"
    [[ -e $root/apt-$suite/updated ]] || { private_apt "$suite" update && touch "$root/apt-$suite/updated"; } || return 1
    for package; do
        (cd "$root/$name" && private_apt "$suite" download "$package" && dpkg -x "$package"_*.deb .) || return 1
    done
}

install_py-consul() {
    venv py-consul py-consul==1.8.0 pytest==8.4.2 pytest-asyncio==1.2.0 aiohttp packaging &&
        "$root/py-consul/bin/pip" download -qq --no-input --no-deps --no-binary :all: \
            -d "$root/py-consul/sdist" py-consul==1.8.0 &&
        tar -xzf "$root"/py-consul/sdist/*.tar.gz -C "$root/py-consul/sdist" --strip-components 1
}
install_python-consul() { venv python-consul python-consul==1.1.0; }
install_node() { mkdir -p "$root/node" && npm install --silent --no-audit --no-fund --prefix "$root/node" consul@2.0.1; }
install_consul() { debian consul bullseye consul; }
install_prometheus() { debian prometheus bullseye prometheus; }
install_haproxy() { debian haproxy bookworm haproxy liblua5.3-0 libopentracing1 libopentracing-c-wrapper0; }
install_patroni() { venv patroni 'patroni[consul]==3.0.2' psycopg2-binary setuptools; }

names=("$@")
((${#names[@]})) || names=(py-consul python-consul node consul prometheus haproxy patroni)
for name in "${names[@]}"; do
    [[ -e $root/$name/installed ]] && continue
    rm -rf "${root:?}/$name"
    if "install_$name" >"$root/$name.log" 2>&1; then
        touch "$root/$name/installed"
        echo "$name: in .clients/$name"
    else
        echo "$name: cannot be had here, its tests are skipped; see .clients/$name.log" >&2
    fi
done
