#!/usr/bin/env bash
# A raftreg cluster on this machine, from a clean clone: starts the nodes, shows the main job, stays until Ctrl-C.
# Needs Python 3.11 or newer (PYTHON=... chooses one); makes its own virtual environment in cluster/.venv.
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source cluster/venv.sh

usage() {
    cat <<'TEXT'
usage: cluster/up.sh [--base-port N] [--data DIR] [--nodes 3|5] [--check]

  --base-port N  HTTP on N, N+1, ...; Raft on N+100, ...; DNS on N+200, ...
                 (without it: HTTP 8500, Raft 8300, DNS 8600, ...)
  --data DIR     where the nodes keep their data (default: cluster/data; with --check a temporary directory)
  --nodes 3|5    how many nodes (default: 3)
  --check        start, show the main job, kill the leader with -9, show that nothing was lost, stop;
                 exit code 0 only if all of it held
TEXT
}

wrong_usage() {
    echo "cluster/up.sh: $1" >&2
    usage >&2
    exit 2
}

http_base=8500 raft_base=8300 dns_base=8600
nodes=3 data="" check=no
while (($#)); do
    [[ ! $1 =~ ^--(base-port|data|nodes)$ || -n ${2:-} ]] || wrong_usage "$1 needs a value"
    case $1 in
    --base-port)
        [[ $2 =~ ^[0-9]{1,5}$ ]] && ((10#$2 >= 1 && 10#$2 + 204 <= 65535)) ||
            wrong_usage "--base-port must be a number from 1 to 65331, not $2"
        http_base=$((10#$2)) raft_base=$((10#$2 + 100)) dns_base=$((10#$2 + 200))
        shift 2
        ;;
    --data)
        data=$2
        [[ $data == /* ]] || data=$here/$data
        shift 2
        ;;
    --nodes)
        [[ $2 == 3 || $2 == 5 ]] || wrong_usage "--nodes must be 3 or 5, not $2"
        nodes=$2 && shift 2
        ;;
    --check) check=yes && shift ;;
    -h | --help) usage && exit 0 ;;
    *) wrong_usage "unknown option $1" ;;
    esac
done

say() { printf '\n== %s\n' "$*"; }

fail() {
    echo "cluster/up.sh: $*" >&2
    exit 1
}

# Shows a command of the client as a user would type it, and runs it.
run() {
    printf '$ raftreg %s\n' "$*"
    "$raftreg" "$@"
}

address() { echo "127.0.0.1:$((http_base + $1 - 1))"; }

# What prefixes the lines of a node ignores Ctrl-C, so that the last words of the node are still shown.
start_node() {
    local name=n$1
    "$raftreg" agent --node "$name" --data-dir "$data/$name" --peers "$peers" --http "$(address "$1")" \
        --raft "127.0.0.1:$((raft_base + $1 - 1))" --dns "127.0.0.1:$((dns_base + $1 - 1))" </dev/null > >(
        trap '' INT
        while IFS= read -r line; do printf '%s | %s\n' "$name" "$line"; done
    ) 2>&1 &
    pids[$1]=$!
    # Bash shall not print the whole job when a node is killed.
    disown
}

is_running() { [[ -n ${pids[$1]:-} ]] && kill -0 "${pids[$1]}" 2>/dev/null; }

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

is_ready() {
    local reply=""
    { exec 3<>"/dev/tcp/127.0.0.1/$((http_base + $1 - 1))"; } 2>/dev/null || return 1
    printf 'GET /readyz HTTP/1.1\r\nHost: raftreg\r\nConnection: close\r\n\r\n' >&3
    IFS= read -r -t 5 reply <&3 || true
    exec 3>&-
    [[ $reply == *" 200 "* ]]
}

# wait_ready NODE...: until each is joined and caught up; fails when one ends or 60 seconds have passed.
wait_ready() {
    local node deadline=$((SECONDS + 60))
    for node in "$@"; do
        until is_ready "$node"; do
            is_running "$node" || fail "n$node did not start; its last lines above say why"
            ((SECONDS < deadline)) || fail "n$node is not ready after 60 s; see its lines above"
            sleep 0.1
        done
    done
}

# TERM to the nodes that this script started, and to nothing else; -9 for one that has not ended after 20 seconds.
stop_all() {
    local code=$? node deadline=$((SECONDS + 20))
    trap '' INT TERM
    trap - EXIT
    for node in "${!pids[@]}"; do kill -TERM "${pids[$node]}" 2>/dev/null || true; done
    for node in "${!pids[@]}"; do
        while is_running "$node" && ((SECONDS < deadline)); do sleep 0.1; done
        ! is_running "$node" || kill -KILL "${pids[$node]}" || true
    done
    [[ -z $temporary ]] || rm -rf "$temporary"
    exit "$code"
}

main_job() {
    say "a service, registered through n2, is found through n3"
    run services register web --address 127.0.0.1 --port 8080 --tag sample --http-addr "$(address 2)"
    run services find web --http-addr "$(address 3)"
    say "a key, written through n1, is read through n2"
    run kv put greeting hello --http-addr "$(address 1)"
    run kv get greeting --http-addr "$(address 2)"
}

leader_by() { "$raftreg" status --http-addr "$(address "$1")" | sed -n 's/^cluster .*, leader n//p' || true; }

check_failover() {
    local leader survivor node
    leader=$(leader_by 1)
    [[ $leader =~ ^[1-5]$ ]] || fail "no leader is known to n1"
    survivor=$((leader % nodes + 1)) other=$(((leader + 1) % nodes + 1))
    say "kill -9 of the leader, n$leader"
    kill -KILL "${pids[$leader]}"
    while is_running "$leader"; do sleep 0.01; done
    say "the service is still found, and a new one registers, through n$survivor and n$other"
    run services find web --http-addr "$(address $survivor)"
    run services register api --address 127.0.0.1 --port 9090 --http-addr "$(address $survivor)"
    run services find api --http-addr "$(address $other)"
    [[ $(run kv get greeting --http-addr "$(address $other)" | tail -n 1) == hello ]] || fail "the key is gone"
    say "n$leader comes back and has it all"
    start_node "$leader"
    wait_ready "$leader"
    run services find api --http-addr "$(address "$leader")"
    run status --http-addr "$(address "$leader")"
    for node in "${!pids[@]}"; do is_running "$node" || fail "n$node is not running"; done
}

declare -a pids=()
temporary=""
if [[ -z $data && $check == yes ]]; then
    temporary=$(mktemp -d)
    data=$temporary
fi
data=${data:-cluster/data}
mkdir -p "$data" 2>/dev/null || fail "cannot make $data: choose another directory with --data"
if [[ -f $data/nodes && $(cat "$data/nodes") != "$nodes" ]]; then
    fail "$data is of a cluster with $(cat "$data/nodes") nodes: give --nodes $(cat "$data/nodes") or another --data"
fi
trap stop_all EXIT
# A wish to stop is fulfilled by stopping; a check that was cut short has shown nothing.
trap '[[ $check == no ]] && exit 0 || exit 130' INT TERM

for ((node = 0; node < nodes; node++)); do
    for port in $((http_base + node)) $((raft_base + node)); do
        ! is_taken "$port" || fail "127.0.0.1:$port is taken: stop what listens there, or give another --base-port"
    done
done
make_venv cluster/.venv grpc
raftreg=cluster/.venv/bin/raftreg
peers=""
for ((node = 1; node <= nodes; node++)); do peers+="${peers:+,}n$node=127.0.0.1:$((raft_base + node - 1))"; done
echo "$nodes" >"$data/nodes"

say "starting $nodes nodes: HTTP $(address 1) and up, Raft 127.0.0.1:$raft_base and up, data in $data"
for ((node = 1; node <= nodes; node++)); do start_node "$node"; done
wait_ready $(seq "$nodes")
main_job

if [[ $check == yes ]]; then
    check_failover
    say "all of it held"
    exit 0
fi

cat <<TEXT

== what to try next, in another terminal (raftreg is $PWD/$raftreg)
  raftreg status --http-addr $(address 1)
  raftreg kv put colour blue --http-addr $(address 1)
  raftreg services find web --passing --http-addr $(address 2)
  curl -s "http://$(address 3)/v1/health/service/web?pretty"
  url=http://$(address 3)/v1/health/service/web      # the next two lines wait until web changes
  index=\$(curl -s -o /dev/null -D - "\$url" | sed -n 's/^X-Consul-Index: \([0-9]*\).*/\1/p')
  curl -s "\$url?index=\$index&wait=60s"
  kill -9 ${pids[1]}      # n1; the others go on
Ctrl-C stops all nodes.
TEXT

# Until Ctrl-C; a node that ends meanwhile is named, and the others go on.
while sleep 1; do
    for node in "${!pids[@]}"; do
        if ! is_running "$node"; then
            say "n$node has ended; the other nodes go on. Stop and start cluster/up.sh to have it back."
            unset "pids[$node]"
            ((${#pids[@]})) || fail "no node is left"
        fi
    done
done
