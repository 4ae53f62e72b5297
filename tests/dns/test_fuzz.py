"""Whatever bytes come, the answerer answers or is silent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftreg.dns.foreign import answer_records
from raftreg.model import ServiceQuery
from tests.dns.messages import TYPES, encode_name, make_query, parse
from tests.dns.zones import Zone

WORDS = ("web", "service", "node", "query", "addr", "connect", "n1", "dc1", "_web", "_tcp", "0a000001", "x")


def _zone() -> Zone:
    zone = Zone()
    zone.node("n1", "10.0.0.1", meta={"k": "v"})
    zone.node("n2", "n1.node.consul")
    for number in range(5):
        zone.service("web", service_id=f"w{number}", address=f"10.1.0.{number}")
    zone.service("alias", address="web.service.consul")
    zone.prepare("web", ServiceQuery("web"))
    return zone


ZONE = _zone()
SAMPLES = [make_query(f"{word}.service.consul", kind, edns=1232) for word in WORDS for kind in TYPES]


def _check(query: bytes, *, udp: bool = True) -> None:
    """The answer, if there is one, has the number of the query, is no query, and fits."""
    answer = ZONE.answerer.answer(query, udp=udp)
    if not answer:
        assert len(query) < 12 or query[2] & 0x80
        return
    assert query[:2] == answer[:2]
    assert answer[2] & 0x80
    assert len(answer) <= 65_535
    if udp and answer[3] & 15 == 0 and b"\0\0\x29" not in query:
        assert len(answer) <= 512
    parse(b"\x12\x34" + answer[2:])


@given(st.binary(max_size=100))
def test_random_bytes(query: bytes) -> None:
    """Nothing but an answer comes of them."""
    _check(query)


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4))
def test_mutated_queries(query: bytes, changes: list[tuple[int, int]]) -> None:
    """Bytes of good queries are changed, and the end is cut off."""
    mutated = bytearray(query)
    for place, byte in changes:
        mutated[place % len(mutated)] = byte
    _check(bytes(mutated))
    _check(bytes(mutated[: changes[0][0] if changes else None]), udp=False)


@given(
    st.lists(st.sampled_from(WORDS), max_size=6).map(".".join),
    st.sampled_from(("consul", "CONSUL", "arpa", "example")),
    st.sampled_from(sorted(TYPES)),
    st.sampled_from((None, 0, 512, 65535)),
)
def test_names_of_any_shape(name: str, domain: str, kind: str, edns: int | None) -> None:
    """Every combination of the words of the zone is answered."""
    query = make_query(f"{name}.{domain}", kind, edns=edns)
    _check(query)
    _check(query, udp=False)


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=6))
def test_labels_of_any_bytes(labels: list[bytes]) -> None:
    """Labels may hold any byte."""
    name = b"".join(bytes((len(label),)) + label for label in labels)
    question = name + b"\7service" + encode_name("consul") + b"\0\1\0\1"
    _check(b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + question)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (b"\x12\x34\1\0" + b"\0" * 8, 1),
        (make_query("web.service.consul")[:-2], 1),
        (b"\x12\x34\1\0\0\2\0\0\0\0\0\0" + make_query("web.service.consul")[12:] * 2, 1),
        (b"\x12\x34\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", 1),
        (b"\x12\x34\1\0\0\1\0\0\0\0\0\0\x40" + b"a" * 64 + b"\0\0\1\0\1", 1),
        (make_query("a" * 63 + "." + ".".join(["b" * 63] * 4)), 1),
        (make_query("web.service.consul", edns=1232)[:-3], 1),
        (make_query("web.service.consul", edns=1232)[:-1] + b"\5", 1),
        (make_query("web.service.consul", flags=0x2000), 4),
        (make_query("web.service.consul", klass=3), 5),
    ],
)
def test_what_is_wrong_is_said(query: bytes, code: int) -> None:
    """FORMERR for what cannot be read, NOTIMP for other operations, REFUSED for other classes."""
    answer = ZONE.answerer.answer(query)
    assert (query[:2], code) == (answer[:2], answer[3] & 15)


@pytest.mark.parametrize("query", [b"", b"\x12\x34\1", make_query("web.service.consul", flags=0x8180)])
def test_answers_and_scraps_are_met_with_silence(query: bytes) -> None:
    """Nobody can make two servers talk to each other for ever."""
    assert b"" == ZONE.answerer.answer(query)


@given(st.binary(max_size=120))
def test_foreign_answers_are_read_or_left(data: bytes) -> None:
    """The answer of a recursor may be anything."""
    message = b"\x12\x34\x81\x80\0\1\0\2\0\0\0\0" + data
    for record in answer_records(message, 12):
        assert len(record) >= 11
