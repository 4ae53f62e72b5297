"""The parameters that all reads share, and how text becomes parameters."""

import pytest

from raftreg.api.http import Query, Request, decode_percent, encode_path
from raftreg.api.options import WAIT_S_DEFAULT, WAIT_S_MAX, Options, parse_options
from raftreg.errors import Refused
from tests.api.local_api import LocalApi, run


def parse(api: LocalApi, query: str, headers: dict[str, str] | None = None) -> Options:
    """The options of a request with this query string."""
    return parse_options(api.context, Request("GET", "/", "/", Query.parse(query), headers or {}))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("wait=5", "Invalid wait time"),
        ("wait=abc", "Invalid wait time"),
        ("index=abc", "Invalid index"),
        ("index=-1", "Invalid index"),
        ("index=%2B1", "Invalid index"),
        ("index=1.5", "Invalid index"),
        ("index=\u0663", "Invalid index"),
        (f"index={2**64}", "Invalid index"),
        ("index=" + "1" * 5000, "Invalid index"),
        ("min-index=x", "Invalid min-index"),
        ("stale&max_stale=zz", 'Invalid max_stale value "zz"'),
        ("stale&consistent", "Cannot specify ?stale with ?consistent, conflicting semantics."),
        ("cached&consistent", "Cannot specify ?cached with ?consistent, conflicting semantics."),
    ],
)
def test_mistakes_are_400_in_the_known_words(query: str, text: str) -> None:
    """Each malformed parameter is refused, also when it would not have been used."""

    async def scenario(api: LocalApi) -> None:
        with pytest.raises(Refused) as caught:
            parse(api, query)
        assert (caught.value.status, caught.value.text) == (400, text)

    run(scenario)


@pytest.mark.parametrize(
    ("wait", "wait_s"),
    [("", WAIT_S_DEFAULT), ("0", WAIT_S_DEFAULT), ("-1s", WAIT_S_DEFAULT), ("10s", 10.0), ("1h", WAIT_S_MAX)],
)
def test_wait_is_bounded_and_spread(wait: str, wait_s: float) -> None:
    """The wait has a default, a maximum, and up to a sixteenth more by chance; without an index there is none."""

    async def scenario(api: LocalApi) -> None:
        assert wait_s <= parse(api, f"index=5&wait={wait}").read.wait_s <= wait_s * 17 / 16
        assert parse(api, f"wait={wait}").read.wait_s == 0.0
        assert parse(api, f"index=0&wait={wait}").read.wait_s == 0.0

    run(scenario)


def test_numbers_may_begin_with_zeros() -> None:
    """As many as there are, as for the other numbers of a query."""

    async def scenario(api: LocalApi) -> None:
        assert 1 == parse(api, f"index={'0' * 30}1").read.index

    run(scenario)


def test_flags_count_by_presence() -> None:
    """A boolean parameter is set by being there, whatever its value."""

    async def scenario(api: LocalApi) -> None:
        assert parse(api, "stale=false&max_stale=10s").read.mode == "stale"
        assert parse(api, "stale=false&max_stale=10s").read.max_stale_s == 10.0
        assert parse(api, "consistent").read.mode == "consistent"
        options = parse(api, "pretty=0&cached=&filter=a%20b&dc=dc2")
        assert (options.pretty, options.cached, options.filter, options.datacenter) == (
            True,
            True,
            "a b",
            "dc2",
        )
        assert parse(api, "", {"X-Raftreg-Min-Index": "7"}).read.min_index == 7
        assert parse(api, "min-index=8", {"X-Raftreg-Min-Index": "7"}).read.min_index == 8

    run(scenario)


def test_query_keeps_order_and_tells_presence_from_value() -> None:
    """Several values of a name stay in order, and what does not decode is dropped."""
    query = Query.parse("tag=b&tag=a+c&recurse&bad=%zz&=x&k%20=%2B;semi=1")
    assert query.get_all("tag") == ["b", "a c"]
    assert "recurse" in query
    assert "bad" not in query
    assert (query.get("k "), query.get("semi"), query.get("none", "d")) == ("+", "1", "d")
    assert query.encode() == "=x&k+=%2B&recurse=&semi=1&tag=b&tag=a+c"
    assert not Query.parse("")


@pytest.mark.parametrize("text", ["/a b/ü", "/%/\udcff", "/a;b=c&d", "/"])
def test_paths_survive_encoding(text: str) -> None:
    """What is written into a Location header is read back as the same path."""
    assert text == decode_percent(encode_path(text))


def test_parameters_that_come_again_are_not_read_again() -> None:
    """The same short query gives the same options object, except where each request gets its own: when it may wait."""

    async def scenario(api: LocalApi) -> None:
        assert parse(api, "stale&pretty") is parse(api, "stale&pretty")
        assert parse(api, "stale").read.mode == "stale"
        assert parse(api, "stale", {"X-Raftreg-Min-Index": "7"}).read.min_index == 7
        assert parse(api, "stale").read.min_index == 0
        assert len({parse(api, "index=1&wait=60s").read.wait_s for _ in range(20)}) > 1
        long = "filter=" + "a" * 100
        assert parse(api, long) == parse(api, long)
        assert parse(api, long) is not parse(api, long)

    run(scenario)
