"""The frozen values that news hooks are told: nothing in them leads back into the worker."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted:
    """The worker is up: the health server, if any, answers, and pipelines are about to start."""

    version: str
    started_at: datetime
    pipeline_ids: tuple[str, ...]
    health_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStopped:
    """A pipeline will not run again in this worker."""

    pipeline_id: str
    at: datetime
    reason: str
    gave_up: bool
    """Whether it ended because of failures, so that the worker's exit code is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopped:
    """The worker is done; no run goes on."""

    at: datetime
    exit_code: int
    cut: tuple[str, ...]
    """The ids of the pipelines whose run was cancelled or abandoned."""
