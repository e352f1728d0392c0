"""`/metrics`: Prometheus text 0.0.4, or OpenMetrics 1.0 when the Accept header asks for it."""

import logging
import platform
import sys
from types import ModuleType

from agora_core.builtin.exporters.accept import OPENMETRICS, prefers_openmetrics
from agora_core.builtin.exporters.families import PER_PIPELINE, Family, label, number, samples_of
from agora_core.spec.health import HealthReply, HealthRequest, WorkerStatus
from agora_core.spec.status_cache import StatusCache

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = f"{OPENMETRICS}; version=1.0.0; charset=utf-8"

_EOF = b"# EOF\n"
_BUILD = Family("agora_build", "info", "The versions of Agora and of the Python that runs it.")
_LAG = Family("agora_event_loop_lag_seconds", "gauge", "How late the worker's event loop last woke.")
_STATE = Family("agora_state_trouble", "gauge", "Whether the worker's state cannot be written, claimed or asked.")
_STANDBY = Family("agora_standing_by", "gauge", "Whether another worker owns the state, and this one waits.")
_UNAUTHORIZED = Family("agora_health_unauthorized", "counter", "Health requests without the right token.")

log = logging.getLogger("agora.metrics")


class Metrics:
    """Publishes the worker's numbers, and those that the user's own code registered with prometheus_client.

    The text is ours, since its labelled children would cost seconds with ten thousand pipelines.
    """

    path = "/metrics"
    needs_token = True

    def __init__(self) -> None:
        self._samples = StatusCache(samples_of)

    def export(self, status: WorkerStatus, request: HealthRequest) -> HealthReply:
        """Return the exposition in the format that the client prefers."""
        openmetrics = prefers_openmetrics(request.accept)
        pieces = [_of_worker(status, openmetrics=openmetrics).encode()]
        columns = zip(*self._samples.of(status.pipelines), strict=True)
        for (family, _), samples in zip(PER_PIPELINE, columns, strict=False):  # no pipeline, no column
            if any(samples):
                pieces += [family.header(openmetrics=openmetrics).encode(), *samples]
        pieces.append(_of_user(openmetrics=openmetrics))
        if openmetrics:
            pieces.append(_EOF)
        return HealthReply(body=b"".join(pieces), content_type=OPENMETRICS_TYPE if openmetrics else TEXT_TYPE)


def _of_worker(status: WorkerStatus, *, openmetrics: bool) -> str:
    versions = f"{label('version', status.version)},{label('python', platform.python_version())}"
    return (
        f"{_BUILD.header(openmetrics=openmetrics)}agora_build_info{{{versions}}} 1\n"
        f"{_LAG.header(openmetrics=openmetrics)}agora_event_loop_lag_seconds {number(status.loop_lag_seconds)}\n"
        f"{_UNAUTHORIZED.header(openmetrics=openmetrics)}"
        f"agora_health_unauthorized_total {status.unauthorized_requests}\n"
        f"{_STATE.header(openmetrics=openmetrics)}agora_state_trouble {int(bool(status.state_trouble))}\n"
        f"{_STANDBY.header(openmetrics=openmetrics)}agora_standing_by {int(bool(status.standing_by))}\n"
    )


def _of_user(*, openmetrics: bool) -> bytes:
    """Return what prometheus_client's default registry has, where the process imported it; we never do."""
    client = sys.modules.get("prometheus_client")
    writer = sys.modules.get("prometheus_client.openmetrics.exposition") if openmetrics else client
    if client is None or writer is None:
        return b""
    return _exposition(client, writer).removesuffix(_EOF)


def _exposition(client: ModuleType, writer: ModuleType) -> bytes:
    try:
        text: bytes = writer.generate_latest(client.REGISTRY)
    # A border: collectors are the user's code, and one that raises must not hide the worker's own numbers.
    except Exception:
        log.exception("prometheus_client's registry could not be read")
        return b""
    return text
