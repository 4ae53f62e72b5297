"""Names of hosts: shared lookups, and name servers that do not answer."""

import asyncio
import threading

import pytest

from raftreg.checks import names
from raftreg.checks.names import THREADS_MAX, Resolver
from tests.checks.targets import run


def test_those_that_ask_together_share_a_lookup() -> None:
    """One thread asks once; one that gives up does not take the answer from the others; addresses ask nobody."""

    async def scenario() -> None:
        asked: list[str] = []
        answered = threading.Event()

        def lookup(host: str) -> list[str]:
            asked.append(host)
            answered.wait(10)
            return ["10.0.0.1"]

        resolver = Resolver(lookup)
        waiting = [asyncio.ensure_future(resolver.addresses("web")) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        answered.set()
        assert [["10.0.0.1"]] * 2 == await asyncio.gather(*waiting[1:])
        assert (["::1"], ["10.0.0.9"]) == (
            await resolver.addresses("::1"),
            await resolver.addresses("10.0.0.9"),
        )
        assert ["web"] == asked
        resolver.close()

    run(scenario)


def test_a_name_that_is_not_there_is_an_error_each_time() -> None:
    """Failures are not kept either: a name may come."""

    async def scenario() -> None:
        answers: list[OSError | list[str]] = [OSError("none"), ["10.0.0.1"]]

        def lookup(host: str) -> list[str]:
            answer = answers.pop(0)
            if isinstance(answer, OSError):
                raise answer
            return answer

        resolver = Resolver(lookup)
        with pytest.raises(OSError, match="none"):
            await resolver.addresses("web")
        assert ["10.0.0.1"] == await resolver.addresses("web")
        resolver.close()

    run(scenario)


def test_names_that_hang_do_not_keep_the_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names hung the last time, one that does not is looked up at once."""
    monkeypatch.setattr(names, "SLOW_S", 0.0)  # whatever takes any time is slow

    async def scenario() -> None:
        hold = threading.Event()
        hangs = False

        def lookup(host: str) -> list[str]:
            if hangs and host != "quick":
                hold.wait(10)
            return ["10.0.0.1"]

        resolver = Resolver(lookup)
        slow = [f"slow{number}" for number in range(2 * THREADS_MAX)]
        await asyncio.gather(*(resolver.addresses(name) for name in slow))
        hangs = True
        hanging = [asyncio.ensure_future(resolver.addresses(name)) for name in slow]
        await asyncio.sleep(0)
        assert ["10.0.0.1"] == await asyncio.wait_for(resolver.addresses("quick"), 5)
        assert not any(one.done() for one in hanging)
        hold.set()
        await asyncio.gather(*hanging)
        resolver.close()

    run(scenario)
