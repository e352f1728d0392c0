"""Decides what a request gets: a value in, a value out; no socket is seen from here."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from agora_core.server.answers import BAD_REQUEST, FAILED, METHOD_NOT_ALLOWED, METHODS, NOT_FOUND, UNAUTHORIZED
from agora_core.server.endpoints import Endpoint
from agora_core.server.gate import Gate
from agora_core.server.throttle import Throttle
from agora_core.spec.errors import PluginError
from agora_core.spec.health import HealthReply, HealthRequest, WorkerStatus

log = logging.getLogger("agora.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that matters of a request."""

    method: str
    path: str
    authorization: tuple[str, ...] = ()
    """Every Authorization header that came."""
    accept: str = ""
    peer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Answers questions from the *endpoints*, for those whom the *gate* lets pass."""

    endpoints: Mapping[str, Endpoint]
    gate: Gate
    status: Callable[[], WorkerStatus]
    throttle: Throttle

    def answer(self, question: Question) -> HealthReply:
        """Return what *question* gets; never raises."""
        if len(question.authorization) > 1:
            # Which of the two counts is a matter on which proxies and servers differ, so neither does.
            return BAD_REQUEST
        if question.method not in METHODS:
            return METHOD_NOT_ALLOWED
        endpoint = self.endpoints.get(question.path)
        if endpoint is None:
            return NOT_FOUND
        authorized = self.gate.authorizes("".join(question.authorization))
        if not authorized and (endpoint.needs_token or question.authorization):
            self.gate.refuse(endpoint.path, question.peer)
        if not authorized and endpoint.needs_token:
            return UNAUTHORIZED
        return self._export(endpoint, HealthRequest(accept=_plain(question.accept), authorized=authorized))

    def _export(self, endpoint: Endpoint, request: HealthRequest) -> HealthReply:
        try:
            status = replace(self.status(), unauthorized_requests=self.gate.unauthorized)
            return _checked(endpoint.exporter.export(status, request), endpoint)
        # A border: an exporter is a plugin, and one that raises, or even exits, must not take the others with it.
        except (Exception, SystemExit) as error:
            if self.throttle.passes(endpoint.path):
                data = {"path": endpoint.path, "exporter": endpoint.name, "error": type(error).__name__}
                log.exception("health exporter failed", extra=data)
            return FAILED


def _plain(accept: str) -> str:
    """Return *accept*, or nothing where it is no plain text, since exporters may put it into an error."""
    return accept if accept.isascii() and accept.isprintable() else ""


def _checked(reply: object, endpoint: Endpoint) -> HealthReply:
    """Return *reply* if it can be sent as it is."""
    if (
        isinstance(reply, HealthReply)
        and isinstance(reply.body, bytes)
        and isinstance(reply.status, int)
        and 200 <= reply.status <= 599
        and isinstance(reply.content_type, str)
        and reply.content_type.isascii()
        and reply.content_type.isprintable()
    ):
        return reply
    raise PluginError(
        f"{endpoint.name} must return a HealthReply with a body of bytes, a status of 200 to 599 and a printable type",
        plugin=endpoint.name,
        hook="agora_health_exporters",
    )
