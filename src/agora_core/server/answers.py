"""The answers that are the same for everyone, and the headers that every answer bears."""

from agora_core.spec.health import HealthReply

BAD_REQUEST = HealthReply(body=b"bad request\n", status=400)
UNAUTHORIZED = HealthReply(body=b"unauthorized\n", status=401)
NOT_FOUND = HealthReply(body=b"not found\n", status=404)
METHOD_NOT_ALLOWED = HealthReply(body=b"method not allowed\n", status=405)
HEAD_TOO_LARGE = HealthReply(body=b"request header fields too large\n", status=431)
FAILED = HealthReply(body=b"internal server error\n", status=500)

METHODS = ("GET", "HEAD")

_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Connection": "close"}
_BY_STATUS = {401: {"WWW-Authenticate": "Bearer"}, 405: {"Allow": ", ".join(METHODS)}}


def headers_of(reply: HealthReply) -> dict[str, str]:
    """Return the headers to send with *reply*."""
    return {"Content-Type": reply.content_type, **_ALWAYS, **_BY_STATUS.get(reply.status, {})}


def as_bytes(reply: HealthReply, reason: str) -> bytes:
    """Return *reply* as it goes over the wire, for a client whose request never became one."""
    lines = [
        f"HTTP/1.1 {reply.status} {reason}",
        *(f"{name}: {value}" for name, value in headers_of(reply).items()),
        f"Content-Length: {len(reply.body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + reply.body
