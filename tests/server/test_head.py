"""The head of a request, however its bytes are cut."""

from hypothesis import given
from hypothesis import strategies as st

from agora_core.server.head import Head
from agora_core.server.limits import Limits

CHUNKS = st.lists(st.integers(min_value=1, max_value=40), max_size=60)


def feed(raw, sizes, limits=None):
    """Return the head and what was taken, after *raw* came in pieces of *sizes*, then the rest at once."""
    head = Head(limits or Limits())
    taken = b""
    for size in [*sizes, len(raw)]:
        piece, raw = raw[:size], raw[size:]
        if piece and not head.complete:
            taken += head.take(piece)
    return head, taken


def request(headers):
    return b"GET /health HTTP/1.1\r\n" + b"".join(b"H%d: v\r\n" % n for n in range(headers)) + b"\r\n"


@given(CHUNKS, st.integers(min_value=0, max_value=5), st.binary(max_size=50))
def test_the_head_ends_at_the_blank_line_however_it_is_cut(sizes, headers, body):
    """Exactly the head is taken, and none of the body."""
    head, taken = feed(request(headers) + body, sizes)

    assert taken == request(headers)
    assert head.complete
    assert not head.too_large


@given(CHUNKS, st.integers(min_value=55, max_value=75))
def test_headers_are_counted_however_they_are_cut(sizes, headers):
    """64 headers are taken, 65 are too many."""
    head, _ = feed(request(headers), sizes, Limits(headers=64))

    assert head.too_large == (headers > 64)


@given(CHUNKS, st.integers(min_value=0, max_value=200))
def test_bytes_are_counted_however_they_are_cut(sizes, length):
    """A head may have as many bytes as the limit says, with or without an end in sight."""
    head, _ = feed(b"x" * length, sizes, Limits(head_bytes=100))

    assert head.too_large == (length > 100)
    assert not head.complete


def test_blank_lines_before_a_request_are_skipped_but_counted():
    """Blank lines do not end a head that has not begun, and cannot be sent for ever."""
    head, taken = feed(b"\r\n\r\n" + request(1), [2, 2])
    assert (taken, head.complete) == (request(1), True)

    head, _ = feed(b"\r\n" * 60, [], Limits(head_bytes=100))
    assert head.too_large


def test_bare_line_feeds_end_a_head_too():
    """Whether a line feed without CR is a line end is the parser's to judge, so it gets the head."""
    head, taken = feed(b"GET / HTTP/1.1\nHost: x\n\nbody", [])

    assert (taken, head.complete) == (b"GET / HTTP/1.1\nHost: x\n\n", True)
