"""The response reader: what it takes for a response, whatever pieces it comes in, and what it refuses."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftreg.checks.dialing import ProbeFailed
from raftreg.checks.http1 import BODY_MAX, HEAD_MAX, ResponseReader

RESPONSES = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello": ("200 OK", "hello"),
    b"HTTP/1.0 503 Not now\r\n\r\nhello": ("503 Not now", "hello"),
    b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n": ("200 ", ""),
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi": ("200 OK", "hi"),
    b"HTTP/1.1 204 No Content\r\n\r\n": ("204 No Content", ""),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n": ("429 Slow", ""),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n": (
        "200 OK",
        "hello!",
    ),
}


def read(reader: ResponseReader, pieces: list[bytes]) -> tuple[str, str]:
    """Feed pieces until the response is complete, or the end of the connection."""
    for piece in pieces:
        if reader.feed(piece):
            break
    else:
        reader.end()
    return f"{reader.status} {reader.reason}", reader.body.text


def fresh() -> ResponseReader:
    """A reader of an answer to GET."""
    return ResponseReader(head_only=False, output_max=4096)


@given(st.sampled_from(list(RESPONSES)), st.data())
def test_a_response_is_the_same_in_any_pieces(response: bytes, data: st.DataObject) -> None:
    """Lengths, chunks, interim responses and the end of the connection are told apart wherever the bytes are cut."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(response)), max_size=6)))
    pieces = [response[a:b] for a, b in zip([0, *cuts], [*cuts, len(response)], strict=True)]
    assert RESPONSES[response] == read(fresh(), pieces)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_a_response_or_a_clear_failure(noise: bytes, begins_well: bool) -> None:
    """Whatever a target sends, nothing but ProbeFailed is raised."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" if begins_well else b""
    with suppress(ProbeFailed):
        read(fresh(), [head + noise[:100], noise[100:]])


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "EOF"),
        (b"HTTP/1.1 200 OK\r\nConte", "unexpected EOF"),
        (
            b"220 mail.example ESMTP\r\n",
            'net/http: HTTP/1.x transport connection broken: malformed HTTP response "220 mail.example ESMTP"',
        ),
        (
            b"HTTP/1.1 2OO OK\r\n\r\n",
            'net/http: HTTP/1.x transport connection broken: malformed HTTP response "HTTP/1.1 2OO OK"',
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            'net/http: HTTP/1.x transport connection broken: bad Content-Length "x"',
        ),
        (
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_MAX,
            f"net/http: server response headers exceeded {HEAD_MAX} bytes; aborted",
        ),
    ],
)
def test_what_is_no_response_is_said(sent: bytes, said: str) -> None:
    """The failures are in the words of Go's net/http."""
    with pytest.raises(ProbeFailed) as caught:
        read(fresh(), [sent])
    assert said == str(caught.value)


def test_of_a_long_body_the_end_is_kept_and_not_all_is_read() -> None:
    """An endless body is complete after a mebibyte; its last 4096 bytes are kept."""
    reader = fresh()
    assert not reader.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    pieces = 0
    while not reader.feed(b"x" * 65535 + b"y"):
        pieces += 1
    assert (BODY_MAX // 65536 - 1, "x" * 4095 + "y") == (pieces, reader.body.text)


def test_an_answer_to_head_has_no_body() -> None:
    """Its Content-Length is that of a body that does not come."""
    reader = ResponseReader(head_only=True, output_max=4096)
    assert reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
