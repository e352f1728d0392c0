"""What a request gets, decided as a value."""

import logging
from dataclasses import replace

import pytest

from agora_core.server.desk import Desk, Question
from agora_core.server.endpoints import mount
from agora_core.server.gate import Gate
from agora_core.server.throttle import Throttle
from agora_core.server.tokens import Token
from agora_core.spec.health import HealthReply

TOKEN = "my-secret-token"


class Exporter:
    def __init__(self, path, needs_token, give=None):
        self.path = path
        self.needs_token = needs_token
        self.give = give or (lambda status, request: HealthReply(body=repr(request.authorized).encode()))

    def export(self, status, request):
        return self.give(status, request)


class Seconds:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def desk_of(seconds, worker):
    def make(*exporters, tokens=(TOKEN,), status=lambda: worker):
        shown = exporters or (Exporter("/closed", True), Exporter("/open", False))
        gate = Gate([Token.of(token, "test") for token in tokens], Throttle(seconds))
        return Desk(endpoints=mount(shown).by_path, gate=gate, status=status, throttle=Throttle(seconds))

    return make


def ask(desk, path="/closed", authorization=(), **more):
    given = tuple(filter(None, [authorization])) if isinstance(authorization, str) else tuple(authorization)
    return desk.answer(Question(**{"method": "GET", "path": path, "authorization": given, **more}))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong-token",
        "Bearer my-secret-toke",
        "Bearer my-secret-token2",
        "Basic my-secret-token",
        "my-secret-token",
        "Bearer: my-secret-token",
        "Bearer Bearer my-secret-token",
        "Bearer \udcff\udcfe",
        "Bearer ünïcödé-token",
        "Bearer " + "x" * 8000,
    ],
)
def test_without_the_token_a_closed_endpoint_is_401(desk_of, header):
    """Missing, wrong, in another scheme, undecodable: one and the same answer, counted."""
    desk = desk_of()

    reply = ask(desk, authorization=header)

    assert (reply.status, reply.body) == (401, b"unauthorized\n")
    assert desk.gate.unauthorized == 1


@pytest.mark.parametrize("header", ["Bearer my-secret-token", "bearer my-secret-token", "BEARER   my-secret-token "])
def test_with_the_token_it_is_answered(desk_of, header):
    """The scheme is read without regard to case."""
    desk = desk_of()

    assert ask(desk, authorization=header).status == 200
    assert desk.gate.unauthorized == 0


def test_a_token_beyond_ascii_is_compared_as_bytes(desk_of):
    """A header is given as text of its UTF-8 bytes."""
    desk = desk_of(tokens=["schlüssel-ключ"])

    assert ask(desk, authorization="Bearer schlüssel-ключ").status == 200
    assert ask(desk, authorization="Bearer schlüssel-ключ!").status == 401


def test_either_of_two_tokens_is_accepted(desk_of):
    """While clients change over, both tokens work."""
    desk = desk_of(tokens=["old-token", "new-token"])

    statuses = [ask(desk, authorization=f"Bearer {token}").status for token in ("old-token", "new-token", "no-token")]

    assert statuses == [200, 200, 401]


def test_every_token_is_compared_by_digest(desk_of, monkeypatch):
    """No comparison is skipped after a match, so that the time does not tell which token it was."""
    compared = []
    monkeypatch.setattr(Token, "matches", lambda self, presented: compared.append(self) or presented == "old-token")
    desk = desk_of(tokens=["old-token", "new-token"])

    assert ask(desk, authorization="Bearer old-token").status == 200
    assert len(compared) == 2


def test_an_open_endpoint_learns_who_asks(desk_of):
    """Without the token it is told so; a wrong one is counted, none is not."""
    desk = desk_of()

    bodies = [ask(desk, "/open", header).body for header in ("", "Bearer wrong-token", f"Bearer {TOKEN}")]

    assert bodies == [b"False", b"False", b"True"]
    assert desk.gate.unauthorized == 1


def test_without_tokens_everyone_is_authorized(desk_of):
    """Where no token is set, a header changes nothing."""
    desk = desk_of(tokens=())

    assert [ask(desk, authorization=header).body for header in ("", "Bearer anything")] == [b"True", b"True"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "UNKNOWN"])
def test_other_methods_are_405_everywhere(desk_of, method):
    """The method is judged before path and token, so it tells nothing of either."""
    desk = desk_of()

    assert {ask(desk, path, method=method).status for path in ("/closed", "/open", "/nowhere")} == {405}


def test_an_unknown_path_is_404_whoever_asks(desk_of):
    """The body is constant; nothing of the path is echoed."""
    desk = desk_of()

    replies = {ask(desk, path, f"Bearer {TOKEN}").body for path in ("/", "/nowhere", "/closed/", "/<script>")}

    assert replies == {b"not found\n"}
    assert ask(desk, "/nowhere").status == 404


def test_two_authorization_headers_are_400(desk_of):
    """Also when one of them, or both, bear the token."""
    desk = desk_of()

    assert ask(desk, authorization=[f"Bearer {TOKEN}", f"Bearer {TOKEN}"]).status == 400
    assert ask(desk, authorization=["", f"Bearer {TOKEN}"]).status == 400


def test_failed_tries_are_logged_once_a_second_without_the_header(desk_of, seconds, caplog):
    """A flood of wrong tokens is one line a second, with the count and without the token."""
    desk = desk_of()

    with caplog.at_level(logging.DEBUG):
        for _ in range(50):
            ask(desk, authorization="Bearer guessed-token", peer="10.0.0.9")
        seconds.now = 1.0
        ask(desk, authorization="Bearer guessed-token", peer="10.0.0.9")

    assert [(record.refused_so_far, record.peer, record.path) for record in caplog.records] == [
        (1, "10.0.0.9", "/closed"),
        (51, "10.0.0.9", "/closed"),
    ]
    assert "guessed" not in caplog.text
    assert not any("guessed" in repr(record.__dict__) for record in caplog.records)


def test_exporters_see_how_many_tries_failed(desk_of, worker):
    """The status that is exported bears the server's own count."""
    desk = desk_of(Exporter("/count", False, lambda s, r: HealthReply(body=str(s.unauthorized_requests).encode())))
    ask(desk, "/count", "Bearer wrong-token")

    assert ask(desk, "/count", f"Bearer {TOKEN}").body == b"1"


def raising(error):
    def give(status, request):
        raise error

    return give


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3), MemoryError(), RecursionError()])
def test_an_exporter_that_raises_is_500_and_named_in_the_log(desk_of, caplog, error):
    """The client gets a constant body, the log the exporter and its error, and the others are served."""
    desk = desk_of(Exporter("/bad", False, raising(error)), Exporter("/good", False))

    assert ask(desk, "/bad").body == b"internal server error\n"
    assert ask(desk, "/good").status == 200
    assert [(record.path, record.exporter.rpartition(":")[2], record.error) for record in caplog.records] == [
        ("/bad", "Exporter", type(error).__name__)
    ]
    assert caplog.records[0].exc_info


def test_a_broken_exporter_does_not_fill_the_log(desk_of, seconds, caplog):
    """Its failures are logged at most once a second."""
    desk = desk_of(Exporter("/bad", False, raising(ValueError())))

    for now in (0.0, 0.5, 0.9, 1.0):
        seconds.now = now
        ask(desk, "/bad")

    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"bytes",
        HealthReply(body="text"),
        HealthReply(body=b"", status=99),
        HealthReply(body=b"", status="200"),
        HealthReply(body=b"", content_type="text/plain\r\nX-Injected: 1"),
        HealthReply(body=b"", content_type=None),
        HealthReply(body=b"", content_type="text/ümlaut"),
    ],
)
def test_a_reply_that_cannot_be_sent_is_500(desk_of, caplog, reply):
    """What an exporter returns is checked, so that no header can be smuggled through it."""
    desk = desk_of(Exporter("/bad", False, lambda status, request: reply))

    assert ask(desk, "/bad").status == 500
    assert "must return a HealthReply" in caplog.text


def test_a_status_that_raises_is_500(desk_of, caplog):
    """The worker's own failure to give a status is an answer too."""
    desk = desk_of(status=lambda: 1 / 0)

    assert ask(desk, "/open").status == 500
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(("sent", "seen"), [("text/plain", "text/plain"), ("a\x01b", ""), ("ü", ""), ("\udcff", "")])
def test_exporters_see_only_plain_accept_headers(desk_of, sent, seen):
    """What is no plain text never reaches an exporter, and so no error or log."""
    desk = desk_of(Exporter("/accept", False, lambda status, request: HealthReply(body=request.accept.encode())))

    assert ask(desk, "/accept", accept=sent).body == seen.encode()


def test_the_worker_is_asked_at_every_request(desk_of, worker):
    """The desk keeps no status of its own."""
    versions = iter(["1", "2"])
    desk = desk_of(
        Exporter("/version", False, lambda status, request: HealthReply(body=status.version.encode())),
        status=lambda: replace(worker, version=next(versions)),
    )

    assert [ask(desk, "/version").body for _ in range(2)] == [b"1", b"2"]
