"""`/livez`: whether the worker's event loop moves, and nothing else, for whoever restarts it."""

from dataclasses import dataclass

from agora_core.spec.health import HealthReply, HealthRequest, WorkerStatus


@dataclass(frozen=True, slots=True)
class Livez:
    """Says `ok`, or 503 once the loop has not moved for `stall_seconds`; never asks for a token, tells no detail."""

    path: str = "/livez"
    needs_token: bool = False

    def export(self, status: WorkerStatus, request: HealthRequest) -> HealthReply:
        """Return whether the loop moves."""
        if status.stalled:
            return HealthReply(body=b"stalled\n", status=503)
        return HealthReply(body=b"ok\n")
