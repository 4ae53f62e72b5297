"""What holds for every sequence of commands."""

from hypothesis import given
from hypothesis import strategies as st

from raftreg.commands import Command, KVSet, Request
from raftreg.state import Found, Query, State, Topic, queries
from tests.state.strategies import all_queries, commands, entry, requests_of

QUERIES = all_queries()
OF_THE_TABLE_IF_ABSENT = (queries.KVGet, queries.KVList, queries.KVKeys, queries.SessionById)
Answers = dict[Query[object], Found[object]]


def answers(state: State) -> Answers:
    """The answer to every query."""
    return {query: query.run(state) for query in QUERIES}


def notified(query: Query[object], topics: tuple[Topic, ...]) -> bool:
    """Whether a watcher of the query is woken by these topics."""
    for what, which in query.topics():
        if what == "kv-under":
            if any(topic[0] == "kv" and topic[1].startswith(which) for topic in topics):
                return True
        elif (what, which) in topics:
            return True
    return False


def applied(state: State, number: int, command: Command) -> tuple[Topic, ...]:
    """Apply a command under an id of its own; the topics that it touched."""
    return state.apply(Request(b"%d" % number, state.index, command)).topics


@given(st.lists(commands, min_size=12, max_size=40))
def test_every_changed_answer_is_notified(sequence: list[Command]) -> None:
    """An answer that changed has a higher index, and one of its query's topics was touched."""
    state = State()
    before = answers(state)
    for number, command in enumerate(sequence):
        topics = applied(state, number, command)
        after = answers(state)
        for query, new in after.items():
            old = before[query]
            if old.value != new.value:
                assert new.index == state.index
                assert notified(query, topics), query
        before = after


@given(st.lists(commands, min_size=12, max_size=40))
def test_index_moves_only_when_notified(sequence: list[Command]) -> None:
    """An index that moved was notified, except that of an absent key, prefix or session, which is the table's."""
    state = State()
    before = answers(state)
    for number, command in enumerate(sequence):
        topics = applied(state, number, command)
        after = answers(state)
        for query, new in after.items():
            absent = isinstance(query, OF_THE_TABLE_IF_ABSENT) and not new.value
            if before[query].index != new.index and not absent:
                assert notified(query, topics), query
        before = after


@given(st.lists(commands, min_size=12, max_size=40))
def test_topics_name_only_what_changed(sequence: list[Command]) -> None:
    """A topic is touched only if the index of a query that waits on it moved; a no-op touches none."""
    state = State()
    before = answers(state)
    for number, command in enumerate(sequence):
        topics = applied(state, number, command)
        after = answers(state)
        assert len(set(topics)) == len(topics)
        for topic in topics:
            woken = [query for query in QUERIES if notified(query, (topic,))]
            assert woken, topic
            assert any(before[query].index != after[query].index for query in woken), topic
        before = after


@given(st.lists(commands, min_size=12, max_size=40), st.integers(0, 4))
def test_no_index_goes_back(sequence: list[Command], tombstones_max: int) -> None:
    """However few deletions are remembered, no index of any query goes back, and none is above the state's."""
    state = State(tombstones_max=tombstones_max)
    before = answers(state)
    for number, command in enumerate(sequence):
        applied(state, number, command)
        after = answers(state)
        for query, new in after.items():
            assert before[query].index <= new.index <= state.index, query
        before = after


@given(st.lists(requests_of(commands), min_size=12, max_size=40), st.data())
def test_replicas_agree_whatever_their_history(sequence: list[Request], data: st.DataObject) -> None:
    """Replicas that took the log in other batches, or began with a snapshot, have the same bytes and answers."""
    one, other = State(results_max=5, tombstones_max=2), State(results_max=5, tombstones_max=2)
    expected = [one.apply_entry(entry([request]))[0] for request in sequence]
    actual = []
    rest = list(sequence)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        actual += other.apply_entry(entry(rest[:size]))
        rest = rest[size:]
        if data.draw(st.booleans()):
            dumped = other.dump()
            other = State(results_max=5, tombstones_max=2)
            other.load(dumped)
            assert dumped == other.dump()
    assert expected == actual
    assert one.digest() == other.digest()
    assert answers(one) == answers(other)


@given(st.lists(commands, min_size=12, max_size=40), st.data())
def test_repeated_requests_are_applied_once(sequence: list[Command], data: st.DataObject) -> None:
    """A request that comes again gets its first result, touches nothing, and changes no answer."""
    state = State()
    done: list[Request] = []
    results = []
    for number, command in enumerate(sequence):
        request = Request(b"%d" % number, state.index, command)
        done.append(request)
        results.append(state.apply(request).result)
        again = data.draw(st.integers(0, number))
        before = answers(state)
        repeated = state.apply(done[again])
        assert results[again] == repeated.result
        assert repeated.topics == ()
        assert before == answers(state)


@given(st.lists(commands, min_size=12, max_size=40))
def test_frozen_copy_is_not_changed_by_later_commands(sequence: list[Command]) -> None:
    """What freeze returned encodes the state of that moment, whatever is applied before it runs."""
    state = State()
    for number, command in enumerate(sequence[: len(sequence) // 2]):
        applied(state, number, command)
    expected, encode = state.dump(), state.freeze()
    for number, command in enumerate(sequence):
        applied(state, 1000 + number, command)
    assert expected == b"".join(encode())


def test_every_command_takes_a_number() -> None:
    """The empty state counts as 1; a command that changes nothing takes a number like any other."""
    state = State()
    assert state.index == 1
    for number in range(3):
        applied(state, number, KVSet("a", b"x"))
    assert state.index == 4
    assert queries.KVGet("a").run(state).index == 2
