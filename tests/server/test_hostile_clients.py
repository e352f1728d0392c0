"""Clients that are slow, huge, many or malformed: they are cut, and cost the others nothing."""

import logging
import socket
import time
from contextlib import ExitStack, closing

import pytest

from agora_core.spec.health import HealthReply

LINE = b"GET /says HTTP/1.1\r\nHost: x\r\n"


def test_a_byte_at_a_time_is_cut_at_the_deadline(serve, conftest):
    """Bytes that trickle in do not move the deadline of the whole request."""
    client = serve(request_seconds=0.3)
    began = time.monotonic()
    with closing(client.connect()) as sock:
        sock.sendall(LINE + b"X: ")
        answer = b""
        for _ in range(2000):
            try:
                sock.sendall(b"y")
                sock.settimeout(0.02)
                answer = sock.recv(100)
                break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("it was never cut")

    assert answer == b""
    assert time.monotonic() - began >= 0.25
    assert client.get("/says").status == 200


@pytest.mark.parametrize("said", [b"", b"\r\n", LINE, LINE + b"X-Endless: ", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_a_client_that_falls_silent_is_cut(serve, conftest, said):
    """A connection without a whole request ends at the deadline without a word."""
    client = serve(request_seconds=0.2, answer_seconds=0.2)
    with closing(client.connect()) as sock:
        sock.sendall(said)

        assert conftest.read_all(sock) == b""


def test_there_is_no_second_request_on_a_connection(serve, conftest):
    """After the answer it is closed, so that no idle one has to be waited for; pipelined requests are dropped."""
    says = conftest.Says()
    client = serve(says)

    reply = client.send((LINE + b"Connection: keep-alive\r\n\r\n") * 3)

    assert reply.body == b"hello\n"
    assert reply.header("Connection") == "close"
    assert len(says.asked) == 1


def test_an_answer_that_is_not_taken_is_cut(serve, conftest):
    """A client that never reads loses its place at the second deadline."""
    client = serve(conftest.Says(reply=HealthReply(body=b"x" * 20_000_000)), answer_seconds=0.3)
    before = conftest.open_files()
    with closing(client.connect()) as sock:
        sock.sendall(LINE + b"\r\n")
        sock.recv(1)
        conftest.until(lambda: conftest.open_files() == before + 1)

        received = conftest.read_all(sock)

    assert 0 < len(received) < 20_000_000


def test_a_half_closed_client_gets_its_answer(serve):
    """`printf … | nc` closes its side at once and is answered all the same."""
    client = serve()
    with closing(client.connect()) as sock:
        sock.sendall(LINE + b"\r\n")
        sock.shutdown(socket.SHUT_WR)

        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "head",
    [
        LINE + b"X-Huge: " + b"h" * 9000 + b"\r\n\r\n",
        LINE + b"".join(b"X-%d: y\r\n" % number for number in range(64)) + b"\r\n",
        LINE + b"X: y\r\n" * 10_000 + b"\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 60_000,
        b"A" * 9000,
        b"\r\n" * 5000,
    ],
    ids=["huge header", "65 headers", "10k headers", "huge path", "no end", "no line", "blank lines"],
)
def test_a_head_that_is_too_large_is_431(serve, head):
    """8 KiB and 64 headers are the most; the answer arrives although bytes still come."""
    client = serve()

    reply = client.send(head)

    assert (reply.status, reply.body) == (431, b"request header fields too large\n")


def test_64_headers_are_not_too_many(serve):
    """The limits themselves are within them."""
    head = LINE + b"".join(b"X-%d: y\r\n" % number for number in range(63)) + b"\r\n"
    client = serve()

    assert client.send(head).status == 200
    assert client.send(LINE + b"X: " + b"y" * (8192 - len(LINE) - 7) + b"\r\n\r\n").status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello",
        b"GET /says HTTP/9.9\r\n\r\n",
        b"GE\0T /says HTTP/1.1\r\n\r\n",
        b"GET /<script>alert(1)</script> HTTP/1.1\r\nBad Header\r\n\r\n",
        b"GET /says HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        b"GET /says HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /says HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"GET /says HTTP/1.1\r\n folded: first\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400_and_nothing_of_it_comes_back(serve, caplog, raw):
    """The answer is constant, and the log has none of the bytes, at any level."""
    client = serve()

    with caplog.at_level(logging.DEBUG):
        reply = client.send(raw)

    assert (reply.status, reply.body) == (400, b"bad request\n")
    said = " ".join(f"{record.getMessage()} {record.exc_info}" for record in caplog.records)
    assert "script" not in said
    assert "says" not in said
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /says HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" + b"b" * 9000,
        b"POST /says HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
        b"POST /says HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n",
        b"POST /says HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
    ],
)
def test_other_methods_are_refused_without_their_body(serve, raw):
    """A body, whole, missing or endless, is neither read nor waited for."""
    assert serve().send(raw).status == 405


@pytest.mark.parametrize(
    "more", [b"Content-Length: 5\r\n\r\nhello", b"Content-Length: 99999\r\n\r\n", b"Upgrade: websocket\r\n\r\n"]
)
def test_a_body_on_a_get_is_ignored(serve, more):
    """A GET is answered at once, whatever it announces."""
    assert serve().send(LINE + more).body == b"hello\n"


def send_on(sock):
    for _ in range(10_000):
        sock.sendall(b"A" * 10_000)


def test_a_flood_after_the_head_is_cut(serve):
    """Who sends on and on after a refusal is cut, long before the deadline."""
    client = serve(request_seconds=60, spill_bytes=10_000)
    with closing(client.connect()) as sock:
        sock.sendall(b"A" * 9000)

        with pytest.raises(ConnectionError):
            send_on(sock)


def test_one_peer_has_eight_places(serve, conftest):
    """The ninth connection of a peer is closed at once; a place that falls free is given again."""
    client = serve(request_seconds=60)
    with ExitStack() as stack:
        held = [stack.enter_context(closing(client.connect())) for _ in range(8)]
        for sock in held:
            sock.sendall(b"GET /")
        with closing(client.connect()) as ninth:
            assert conftest.read_all(ninth) == b""

        held[0].close()
        conftest.until(lambda: answers(client))


def answers(client):
    try:
        return client.get("/says").status == 200
    except (OSError, IndexError):
        return False


def test_a_flood_of_connections_is_bounded(serve, conftest):
    """Of a hundred half-open connections eight stay, the server's files stay few, and it answers afterwards."""
    client = serve(request_seconds=0.5)
    before = conftest.open_files()
    with ExitStack() as stack:
        held = [stack.enter_context(closing(client.connect())) for _ in range(100)]
        conftest.until(lambda: conftest.open_files() <= before + 100 + 8)
        assert all(conftest.read_all(sock) == b"" for sock in held)

    conftest.until(lambda: answers(client))


def test_there_are_places_for_so_many_in_all(serve, conftest):
    """The limit of all connections holds beside the one of each peer."""
    client = serve(request_seconds=60, connections=3, connections_per_peer=100)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(closing(client.connect())).sendall(b"GET /")
        with closing(client.connect()) as fourth:
            assert conftest.read_all(fourth) == b""


def test_nothing_of_a_request_is_logged_raw(serve, conftest, caplog):
    """Path, query, headers and token appear in no record at any level, aiohttp's own included."""
    client = serve(tokens=["my-secret-token"])

    with caplog.at_level(logging.DEBUG):
        client.get("/evil%0d%0aX-Log:-forged?secret=hunter2", "Authorization: Bearer hunter2-hunter2")
        client.get("/says?secret=hunter2", "Authorization: Bearer hunter2-hunter2", "User-Agent: evil-agent")

    said = " ".join(repr(record.__dict__) for record in caplog.records)
    assert "unauthorized health request" in said
    assert not any(word in said for word in ("hunter2", "evil", "forged"))
