"""`/ready`: whether every pipeline is running."""

from collections.abc import Iterator
from dataclasses import dataclass

from agora_core.spec.health import READY_STATES, HealthReply, HealthRequest, PipelineStatus, WorkerStatus
from agora_core.spec.redaction import redact


@dataclass(frozen=True, slots=True)
class Ready:
    """Says 200 when every pipeline is running, waiting for its tick, retrying or completed; else 503.

    It is 503 too while the worker stops, while its loop is stalled, and without any pipeline. Everyone gets the
    code; the reasons, one a line, only who bears the token.
    """

    path: str = "/ready"
    needs_token: bool = False

    def export(self, status: WorkerStatus, request: HealthRequest) -> HealthReply:
        """Return the code, and the reasons to those who may know them."""
        reasons = list(_reasons(status))
        if not reasons:
            return HealthReply(body=b"ready\n")
        told = reasons if request.authorized else ()
        return HealthReply(body="\n".join(["not ready", *told, ""]).encode(errors="backslashreplace"), status=503)


def _reasons(status: WorkerStatus) -> Iterator[str]:
    if status.stopping:
        yield "the worker is stopping"
    if status.stalled:
        yield "the worker's event loop is stalled"
    if not status.pipelines:
        yield "no pipeline is registered"
    for pipeline in status.pipelines:
        if pipeline.state not in READY_STATES:
            yield _line(pipeline)


def _line(pipeline: PipelineStatus) -> str:
    reason = redact(" ".join(pipeline.reason.split()))
    return f"{pipeline.id}: {pipeline.state}" + (f" ({reason})" if reason else "")
