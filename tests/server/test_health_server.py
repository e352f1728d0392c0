"""The health server over real sockets: start, answers, stop."""

import asyncio
import logging
import socket
import threading
import time
from contextlib import closing

import pytest

from agora_core.server.health_server import HealthServer
from agora_core.spec.errors import ConfigError
from agora_core.spec.health import HealthReply

TOKEN = "my-secret-token"


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "agora-health"]


def test_start_returns_the_port_that_it_answers_on(serve):
    """Port 0 picks a port; when `start` returns, it answers there."""
    client = serve()

    assert client.port > 0
    assert client.server.url == f"http://127.0.0.1:{client.port}"
    assert client.server.start() == client.port
    assert client.get("/says").body == b"hello\n"


def test_every_answer_bears_the_headers_that_keep_it_private(serve):
    """No cache, no sniffing, no server name, and the connection ends; on whatever status."""
    client = serve(tokens=[TOKEN])
    replies = {
        200: client.get("/says", f"Authorization: Bearer {TOKEN}"),
        401: client.get("/says"),
        404: client.get("/nowhere"),
        405: client.get("/says", method="POST"),
        400: client.send(b"\x16\x03\x01 this is no HTTP\r\n\r\n"),
        431: client.send(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 65 + b"\r\n"),
    }

    for status, reply in replies.items():
        assert reply.status == status
        assert reply.header("Cache-Control") == "no-store"
        assert reply.header("X-Content-Type-Options") == "nosniff"
        assert reply.header("Content-Type")
        assert reply.header("Connection") == "close"
        assert reply.header("Server") is None
        assert int(reply.header("Content-Length")) == len(reply.body)
    assert replies[401].header("WWW-Authenticate") == "Bearer"
    assert replies[401].body == b"unauthorized\n"
    assert replies[405].header("Allow") == "GET, HEAD"


def test_head_is_get_without_a_body(serve):
    """HEAD has the headers of GET, the length too."""
    client = serve()

    full, bare = client.get("/says"), client.get("/says", method="HEAD")

    assert (bare.status, bare.body) == (200, b"")
    assert bare.header("Content-Length") == full.header("Content-Length") == "6"


def test_the_path_alone_chooses_the_exporter(serve):
    """A query is ignored; an absolute target is read as its path."""
    client = serve()

    assert client.get("/says?verbose=1").status == 200
    assert client.get(f"http://127.0.0.1:{client.port}/says").status == 200
    assert client.get("/says/").status == 404


def test_the_token_is_asked_for(serve):
    """Through the socket as on the desk; counted where `/metrics` can see it."""
    client = serve(tokens=[TOKEN, "schlüssel-ключ"])

    statuses = [
        client.get("/says", *headers).status
        for headers in (
            [],
            ["Authorization: Bearer wrong-token"],
            [f"authorization: bearer {TOKEN}"],
            ["Authorization: Bearer schlüssel-ключ"],
            [f"Authorization: Bearer {TOKEN}", "Authorization: Bearer other-token"],
        )
    ]

    assert statuses == [401, 401, 200, 200, 400]
    assert client.server.unauthorized == 2


def test_a_token_of_broken_bytes_is_refused(serve):
    """Bytes that are no UTF-8 are compared, not choked on."""
    client = serve(tokens=[TOKEN])

    reply = client.send(b"GET /says HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\x80my-secret-token\r\n\r\n")

    assert reply.status == 401


@pytest.mark.parametrize("length", [300_000, 4_000_000])
def test_a_large_answer_arrives_whole(serve, conftest, length):
    """A body beyond any socket buffer is streamed; HEAD tells its length and sends none of it."""
    body = bytes(range(250)) * (length // 250)
    client = serve(conftest.Says(reply=HealthReply(body=body)))

    full, bare = client.get("/says"), client.get("/says", method="HEAD")

    assert full.body == body
    assert (bare.header("Content-Length"), bare.body) == (str(length), b"")


def test_an_exporter_that_raises_harms_no_other(serve, conftest, caplog):
    """Its path is 500 with a constant body, even when it exits; the server answers on."""
    client = serve(conftest.Raises(error=SystemExit(1)), conftest.Says())

    assert (client.get("/raises").status, client.get("/says").status) == (500, 200)
    assert "conftest:Raises" in caplog.records[0].exporter


def test_a_disabled_exporter_is_logged_with_the_reason(serve, conftest, caplog):
    """A bad path is an error in the log at start, and the others are served."""
    client = serve(conftest.Says(path="no-slash"), conftest.Says())

    assert client.get("/says").status == 200
    assert [record.exporter.rpartition(".")[2] for record in caplog.records] == ["conftest:Says"]
    assert caplog.records[0].error.startswith("its path must be")


def test_it_answers_while_the_main_thread_blocks(serve):
    """The server needs nothing of the thread that started it."""
    client = serve()
    seen = []
    asker = threading.Thread(target=lambda: seen.append(client.get("/says").status))

    async def blocked():
        asker.start()
        while asker.is_alive():  # never yields to the loop
            time.sleep(0.001)

    asyncio.run(blocked())

    assert seen == [200]


def test_a_taken_port_is_refused_before_any_thread(serve, conftest):
    """The error names the port, and nothing is left behind."""
    taken = serve().port
    before = (len(threads()), conftest.open_files())
    second = HealthServer("127.0.0.1", taken, (), [], conftest.idle_worker)

    with pytest.raises(ConfigError, match=str(taken)):
        second.start()

    assert (len(threads()), conftest.open_files()) == before
    second.stop()


def test_an_open_bind_needs_a_token_or_the_users_word(conftest):
    """0.0.0.0 is refused bare, and taken with either."""
    with pytest.raises(ConfigError, match="allow_unauthenticated"):
        HealthServer("0.0.0.0", 0, (), [], conftest.idle_worker).start()

    server = HealthServer("0.0.0.0", 0, (), [conftest.Says()], conftest.idle_worker, allow_unauthenticated=True)
    assert conftest.Client(server.start()).get("/says").status == 200
    server.stop()


def test_a_thread_that_cannot_start_is_said(conftest, monkeypatch):
    """Where the system gives no thread, start says so and lets go of the port."""

    def refuse(self):
        raise RuntimeError("can't start new thread")

    before = conftest.open_files()
    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(ConfigError, match="can't start new thread"):
        HealthServer("127.0.0.1", 0, (), [], conftest.idle_worker).start()

    assert conftest.open_files() == before


def test_a_loop_that_cannot_be_made_is_said(conftest, monkeypatch):
    """Where the loop finds no file descriptor, start says so instead of hanging."""

    def refuse():
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(asyncio, "SelectorEventLoop", refuse)

    with pytest.raises(ConfigError, match="Too many open files"):
        HealthServer("127.0.0.1", 0, (), [], conftest.idle_worker).start()


def test_stop_leaves_no_thread_file_or_listener(serve, conftest):
    """After stop all is as before start; stopping twice, or before start, does nothing."""
    HealthServer("127.0.0.1", 0, (), [], conftest.idle_worker).stop()
    before = (len(threads()), conftest.open_files())
    client = serve()
    client.get("/says")

    client.server.stop()
    client.server.stop()

    assert (len(threads()), conftest.open_files()) == before
    with pytest.raises(ConnectionRefusedError):
        client.connect()


def test_idle_and_half_open_clients_do_not_hold_it(serve, conftest):
    """Clients that said nothing, a part of a request, or closed their side, are cut at once."""
    client = serve()
    held = [client.connect() for _ in range(6)]
    for sock, said in zip(held, [b"", b"G", b"GET /says HTTP/1.1\r\nX: ", b"\r\n", b"GET /", b""], strict=True):
        sock.sendall(said)
    held[1].shutdown(socket.SHUT_WR)

    client.server.stop(timeout_seconds=600)  # were they waited for, the test would time out

    assert not threads()
    assert [conftest.read_all(sock) for sock in held] == [b""] * 6
    for sock in held:
        sock.close()


def test_a_client_that_does_not_take_its_answer_does_not_hold_it(serve, conftest):
    """An answer that nobody reads is given up after half of the time-out."""
    client = serve(conftest.Says(reply=HealthReply(body=b"x" * 20_000_000)))
    with closing(client.connect()) as sock:
        sock.sendall(b"GET /says HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(1)

        client.server.stop(timeout_seconds=0.2)

        conftest.until(lambda: not threads())
    assert len(threads()) == 0


def test_stop_under_load_leaves_nothing(serve, conftest):
    """Stopped while clients connect and ask, it cuts them and leaves no thread or file."""
    before = (threading.active_count(), conftest.open_files())
    client = serve()
    going = threading.Event()
    answered = []

    def ask():
        while not going.is_set():
            try:
                answered.append(client.get("/says").status)
            except (OSError, ValueError, IndexError):
                if going.wait(0.001):
                    return

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    conftest.until(lambda: len(answered) > 50)

    client.server.stop()
    going.set()
    for asker in askers:
        asker.join()

    assert set(answered) == {200}
    assert (threading.active_count(), conftest.open_files()) == before


def test_an_exporter_that_blocks_does_not_hold_stop(serve, conftest, caplog):
    """Stop gives up on the thread with a warning; it ends by itself once the exporter returns."""
    release, entered = threading.Event(), threading.Event()

    class Blocks(conftest.Says):
        def export(self, status, request):
            entered.set()
            release.wait(30)
            return self.reply

    client = serve(Blocks())
    with closing(client.connect()) as sock, caplog.at_level(logging.WARNING):
        sock.sendall(b"GET /says HTTP/1.1\r\nHost: x\r\n\r\n")
        entered.wait(30)

        client.server.stop(timeout_seconds=0.05)

        assert "did not stop in time" in caplog.text
        release.set()
        conftest.until(lambda: not threads())
