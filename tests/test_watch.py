"""Waiters are woken by what they wait for, by nothing else, and leave nothing behind."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raftreg.state import Topic
from raftreg.watch import Waiter, Watch


def in_loop(check: Callable[[], None]) -> None:
    """Run a synchronous check inside an event loop."""

    async def run() -> None:
        check()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("waited", "changed", "woken"),
    [
        (("kv", "a"), ("kv", "a"), True),
        (("kv", "a"), ("kv", "ab"), False),
        (("kv-under", "a"), ("kv", "ab"), True),
        (("kv-under", "ab"), ("kv", "a"), False),
        (("kv-under", "ab"), ("kv", "ab"), True),
        (("kv-under", ""), ("kv", ""), True),
        (("kv-under", "b"), ("kv", "ab"), False),
        (("kv-under", "\udcc3"), ("kv", "\u00e9"), True),  # the first byte of a letter with two
        (("kv-under", "\u00e9"), ("kv", "\u00e9a"), True),
        (("nodes", ""), ("node", ""), False),
        (("service", "web"), ("service", "web"), True),
    ],
)
def test_notify_wakes_what_matches(waited: Topic, changed: Topic, woken: bool) -> None:
    """A topic wakes its own waiters, and a key those of every prefix of it."""

    def check() -> None:
        watch = Watch()
        waiter = watch.register((waited,))
        watch.notify((changed,))
        assert woken == waiter.future.done()
        assert (0 if woken else 1) == len(watch)

    in_loop(check)


def test_notify_all_wakes_everybody() -> None:
    """After a restore nobody is left waiting."""

    def check() -> None:
        watch = Watch()
        waiters = [watch.register((("kv", str(number)), ("nodes", ""))) for number in range(5)]
        watch.notify_all()
        assert all(waiter.future.done() for waiter in waiters)
        assert len(watch) == 0

    in_loop(check)


def test_waiter_with_several_topics_is_forgotten_under_all() -> None:
    """One topic is enough to wake a waiter, and it then waits for none of the others."""

    def check() -> None:
        watch = Watch()
        waiter = watch.register((("kv", "a"), ("kv-under", "b")))
        watch.notify((("kv", "bc"),))
        assert waiter.future.done()
        assert len(watch) == 0
        watch.remove(waiter)
        watch.notify((("kv", "a"),))

    in_loop(check)


KEYS = st.text(alphabet="ab", max_size=4)
TOPICS = st.one_of(
    st.tuples(st.just("kv"), KEYS), st.tuples(st.just("kv-under"), KEYS), st.just(("nodes", ""))
)


class WatchModel(RuleBasedStateMachine):
    """A Watch beside a list of (waiter, topics) that is searched from end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.watch = Watch()
        self.waiting: list[Waiter] = []

    def teardown(self) -> None:
        """Close the loop."""
        self.loop.close()

    def _inside(self, action: Callable[[], None]) -> None:
        async def run() -> None:
            action()

        self.loop.run_until_complete(run())

    @rule(topics=st.lists(TOPICS, min_size=1, max_size=3))
    def register(self, topics: list[Topic]) -> None:
        """Somebody begins to wait."""
        self._inside(lambda: self.waiting.append(self.watch.register(tuple(topics))))

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Somebody gives up."""
        if self.waiting:
            waiter = data.draw(st.sampled_from(self.waiting))
            self.waiting.remove(waiter)
            self.watch.remove(waiter)

    @rule(key=KEYS)
    def change(self, key: str) -> None:
        """A key changes: exactly those that wait for it or for a prefix of it are woken."""
        expected = [waiter for waiter in self.waiting if any(_matches(topic, key) for topic in waiter.topics)]
        self._inside(lambda: self.watch.notify((("kv", key),)))
        assert expected == [waiter for waiter in self.waiting if waiter.future.done()]
        self.waiting = [waiter for waiter in self.waiting if waiter not in expected]

    @invariant()
    def nothing_is_left_behind(self) -> None:
        """The watch holds the topics of those that wait, and no others."""
        assert len({topic for waiter in self.waiting for topic in waiter.topics}) == len(self.watch)


def _matches(topic: Topic, key: str) -> bool:
    kind, name = topic
    return (kind == "kv" and name == key) or (kind == "kv-under" and key.startswith(name))


TestWatchModel = WatchModel.TestCase
TestWatchModel.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
