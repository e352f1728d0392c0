"""`/ready`: whether every pipeline is running."""

from collections.abc import Iterator
from dataclasses import dataclass

from agora_core.spec.health import READY_STATES, HealthReply, HealthRequest, PipelineStatus, WorkerStatus
from agora_core.spec.redaction import redact


@dataclass(frozen=True, slots=True)
class Ready:
    """Says 200 when every pipeline is running, queued, waiting for its tick, retrying or completed; else 503.

    A pipeline that failed too often in a row counts again when a run of it has ended well. It is 503 too while the
    worker stops or stands by, while its loop is stalled, and without any pipeline. Everyone gets the code; the reasons,
    one a line, only who bears the token.
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
    if status.standing_by:
        yield f"standing by: another worker ({redact(status.standing_by)}) owns the state"
    if not status.pipelines:
        yield "no pipeline is registered"
    for pipeline in status.pipelines:
        if not pipeline.is_ready:
            yield _line(pipeline)


def _line(pipeline: PipelineStatus) -> str:
    reason = redact(" ".join(pipeline.reason.split()))
    if not reason and pipeline.state in READY_STATES:
        reason = f"{pipeline.consecutive_errors} failed runs in a row before"
    return f"{pipeline.id}: {pipeline.state}" + (f" ({reason})" if reason else "")
