"""When sessions expire on a real cluster of three nodes, also when kill -9 takes the leader in between.

    python -m bench.expiry                      TTLs of 10 s and 30 s, about 80 s
    python -m bench.expiry --ttl 10 --each 20

Every session must end no earlier than its TTL after the last renewal that was acknowledged, and within a tenth of it
more. Across a failover its time begins anew with the election: no earlier than before, and no later than a TTL and a
tenth after the first write that the new leader took. Sessions that are renewed all the time must not end at all. Times
are those of a client that waits for each session by a blocking query. The exit code is 1 if any of this does not hold.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.stopping import stoppable
from tests.e2e.cluster import Cluster, Node, wait_until

LATE_SHARE_MAX = 0.1  # of the TTL
KILL_AFTER_S = 4.0
KEPT_EVERY_S = 2.0
ATTEMPTS = 4


@dataclass(slots=True)
class Session:
    """One session, when its last renewal was acknowledged, and when it was seen to be gone."""

    id: str
    ttl_s: int
    renewed_at: float = 0.0
    ended_at: float = 0.0


def create(node: Node, ttl_s: int) -> Session:
    """A session that depends on nothing but its TTL."""
    body = {"TTL": f"{ttl_s}s", "Checks": [], "LockDelay": "0s"}
    session_id = node.put("/v1/session/create", json.dumps(body).encode()).json()["ID"]
    return Session(session_id, ttl_s, time.monotonic())


def renew(node: Node, session: Session) -> bool:
    """Renew; whether it was acknowledged."""
    try:
        done = node.put(f"/v1/session/renew/{session.id}", timeout_s=15.0).status == 200
    except OSError:
        return False
    if done:
        session.renewed_at = time.monotonic()
    return done


def wait_for_end(node: Node, session: Session) -> None:
    """Return when the session is gone, by a blocking query."""
    index = 0
    while not session.ended_at:
        reply = node.get(f"/v1/session/info/{session.id}?wait=60s&index={index}", timeout_s=90.0)
        if reply.status == 200 and reply.json() == []:
            session.ended_at = time.monotonic()
        index = int(reply.headers.get("x-consul-index", "0")) if reply.status == 200 else 0


def many(pool: ThreadPoolExecutor, nodes: Sequence[Node], ttls: Sequence[int], each: int) -> list[Session]:
    """Sessions of each TTL, created at the nodes in turn."""
    tasks: list[Future[Session]] = [
        pool.submit(create, nodes[number % len(nodes)], ttl_s) for ttl_s in ttls for number in range(each)
    ]
    return [task.result() for task in tasks]


def term(cluster: Cluster) -> int:
    """The term of the leader: another one at the end of a part means that its deadlines began anew in between."""
    return int(cluster.leader().status()["Term"])


def undisturbed(cluster: Cluster, pool: ThreadPoolExecutor, ttls: Sequence[int], each: int) -> bool | None:
    """Sessions that are renewed once, at another node, and then left alone. None if the leader changed by itself."""
    before = term(cluster)
    nodes = cluster.running()
    sessions = many(pool, nodes, ttls, each)
    time.sleep(1.0)
    for number, session in enumerate(sessions):
        assert renew(nodes[(number + 1) % len(nodes)], session), "a renewal was refused"
    watches = [pool.submit(wait_for_end, nodes[n % len(nodes)], one) for n, one in enumerate(sessions)]
    for watch in watches:
        watch.result()
    in_time = judge("undisturbed", sessions, lambda session: session.renewed_at)
    return verdict(cluster, before, in_time)


def across_failover(
    cluster: Cluster, pool: ThreadPoolExecutor, ttls: Sequence[int], each: int
) -> bool | None:
    """Sessions whose leader is killed, and others that are renewed at the nodes that are left.

    None if the leader changed once more by itself.
    """
    leader, followers = cluster.leader(), cluster.followers()
    kept = many(pool, followers, ttls, each)
    sessions = many(pool, cluster.running(), ttls, each)
    done = threading.Event()
    keepers = [pool.submit(keep, followers, session, done) for session in kept]
    watches = [pool.submit(wait_for_end, followers[n % 2], one) for n, one in enumerate(sessions)]
    time.sleep(KILL_AFTER_S)
    leader.kill()
    wait_until("a write at the new leader", lambda: followers[0].put("/v1/kv/elected").status == 200 or None)
    elected_at = time.monotonic()
    elected = term(cluster)
    for watch in watches:
        watch.result()
    done.set()
    lost = [session for session, keeper in zip(kept, keepers, strict=True) if not keeper.result()]
    early = [one for one in sessions if one.ended_at - one.renewed_at < one.ttl_s]
    print(f"  kept alive by renewals across the failover: {len(kept) - len(lost)} of {len(kept)}")
    print(f"  ended before the TTL after the last acknowledged renewal: {len(early)} of {len(sessions)}")
    in_time = verdict(cluster, elected, judge("after the election", sessions, lambda _: elected_at))
    cluster.start(leader.name)
    if lost or early:
        return False
    return in_time


def verdict(cluster: Cluster, before: int, in_time: bool) -> bool | None:
    """What a part comes to: lateness counts only if the leader is still the one of that term."""
    if in_time or term(cluster) == before:
        return in_time
    print("  the leader changed by itself meanwhile, so that all deadlines began anew: not judged")
    return None


def until_judged(part: Callable[[], bool | None]) -> bool:
    """Run a part again until it can be judged, a few times at most."""
    for _ in range(ATTEMPTS):
        judged = part()
        if judged is not None:
            return judged
    return False


def keep(nodes: Sequence[Node], session: Session, done: threading.Event) -> bool:
    """Renew again and again; whether the session was there to the end."""
    number = 0
    while not done.wait(KEPT_EVERY_S):
        number += 1
        if not renew(nodes[number % len(nodes)], session):
            return False
    return True


def judge(what: str, sessions: Sequence[Session], since: Callable[[Session], float]) -> bool:
    """Print how late the sessions ended; whether all of them were in time."""
    fine = True
    for ttl_s in sorted({session.ttl_s for session in sessions}):
        lives = [session.ended_at - since(session) for session in sessions if session.ttl_s == ttl_s]
        shown = (
            f"{min(lives):.3f} .. {max(lives):.3f} s, {min(lives) / ttl_s:.4f} .. {max(lives) / ttl_s:.4f}"
        )
        print(f"  {what}, TTL {ttl_s} s, {len(lives)} sessions: {shown} of the TTL", flush=True)
        fine = fine and max(lives) <= ttl_s * (1 + LATE_SHARE_MAX)
        fine = fine and (what != "undisturbed" or min(lives) >= ttl_s)
    return fine


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ttl", type=int, action="append", help="seconds; may be repeated (10 and 30)")
    parser.add_argument("--each", type=int, default=9, help="sessions of each TTL (9)")
    parser.add_argument("--failovers", type=int, default=1, help="how often the leader is killed (1)")
    options = parser.parse_args()
    ttls = options.ttl or [10, 30]
    threads = ThreadPoolExecutor(max_workers=2 * len(ttls) * options.each + 1)
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as cluster, threads as pool:
        cluster.start()
        each = options.each
        fine = [until_judged(lambda: undisturbed(cluster, pool, ttls, each))]
        for _ in range(options.failovers):
            fine.append(until_judged(lambda: across_failover(cluster, pool, ttls, each)))
    print("all in time" if all(fine) else "NOT in time")
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(stoppable(main))
