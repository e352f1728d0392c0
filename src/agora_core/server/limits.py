"""What one client, and all of them together, may cost the worker."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of the health server; what is beyond them is cut."""

    request_seconds: float = 5.0
    """From accept until the request's head is complete, however slowly it comes."""
    answer_seconds: float = 10.0
    """From then until the client has taken the answer and closed."""
    head_bytes: int = 8192
    headers: int = 64
    spill_bytes: int = 65_536
    """What a client may send after its head, which is dropped unread, before it is cut."""
    connections: int = 64
    connections_per_peer: int = 8
