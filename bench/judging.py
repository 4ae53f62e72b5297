"""How long the linearizability checker takes, and how much memory: histories of a correct store with lost answers.

    python -m bench.judging                        50,000 calls, a twentieth of them without an answer
    python -m bench.judging --calls 300000 --keys 1000 --lost 0.1

Exit code 1 if a history of a correct store is called faulty.
"""

import argparse
import random
import resource
import sys
import time

from raftreg.checkers.history import Operation
from raftreg.checkers.linearizability import check


def history(seed: int, calls: int, keys: int, clients: int, lost: float) -> list[Operation]:
    """Calls that each take effect at a moment between their ends, or, without an answer, perhaps never."""
    chance = random.Random(seed)
    state: dict[str, tuple[str, int]] = {}
    told: dict[str, list[int]] = {}
    index, found = 0, []
    moments = []
    for client in range(clients):
        now = chance.random()
        for _ in range(calls // clients):
            begin, effect = now, now + chance.expovariate(1.0)
            now = effect + chance.expovariate(1.0)
            moments.append((effect, client, begin, now))
    for number, (_, client, begin, end) in enumerate(sorted(moments)):
        # A few keys at a time, as the verifier does it.
        key = f"k{number * keys // len(moments) + chance.randrange(4)}"
        kind = chance.choice(("read", "read", "write", "cas"))
        is_lost = chance.random() < lost and kind != "read"
        happens = not is_lost or chance.random() < 0.5
        argument: object = None
        result: object = state.get(key)
        if kind != "read":
            index += 1
            value, current = str(number), state.get(key, ("", 0))[1]
            expected = chance.choice([current, *told.get(key, [0])[-2:]])
            done = happens and (kind == "write" or expected == current)
            argument = value if kind == "write" else (expected, value)
            result = index if kind == "write" else (done, index if done else None)
            if done:
                state[key] = value, index
        told.setdefault(key, []).append(state.get(key, ("", 0))[1])
        outcome = (None, None) if is_lost else (end, True)
        # A client whose call was lost goes on as another one.
        who = number + 1000 if is_lost else client
        found.append(Operation(who, kind, key, argument, None if is_lost else result, begin, *outcome))
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=50_000, help="how many (50000)")
    parser.add_argument("--keys", type=int, default=160, help="over how many keys, four at a time (160)")
    parser.add_argument("--clients", type=int, default=15, help="at the same time (15)")
    parser.add_argument("--lost", type=float, default=0.05, help="share of writes without an answer (0.05)")
    parser.add_argument("--seed", type=int, default=1, help="of the history (1)")
    options = parser.parse_args()
    made = history(options.seed, options.calls, options.keys, options.clients, options.lost)
    began = time.perf_counter()
    violation = check(made)
    seconds = time.perf_counter() - began
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    unknown = sum(1 for each in made if each.ok is None)
    print(f"{len(made):,} calls, {unknown:,} of unknown outcome: {seconds:.1f} s, {memory_mib:.0f} MiB")
    if violation is not None:
        print(violation)
    return 0 if violation is None else 1


if __name__ == "__main__":
    sys.exit(main())
