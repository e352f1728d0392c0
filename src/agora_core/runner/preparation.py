"""From what was registered to what can run: every part built, every fault found, before anything starts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from random import Random
from sys import intern

from agora_core.registry.catalogue import Catalogue
from agora_core.runner import factories
from agora_core.runner.pace import Pace
from agora_core.runner.parts import Parts
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.slices import in_slices
from agora_core.spec.engines import Deployment, PipelineSpec
from agora_core.spec.errors import AgoraError, DeploymentError, FactoryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A pipeline that can run: what was registered, as data, and its rule."""

    scheduled: ScheduledPipeline
    spec: PipelineSpec
    pace: Pace


async def prepare(pipelines: Iterable[ScheduledPipeline], catalogue: Catalogue, random: Random) -> list[Prepared]:
    """Build the timetable and the backoff policy of each pipeline, or raise one error that lists all faults."""
    parts = Parts(catalogue)
    prepared: list[Prepared] = []
    problems: list[str] = []
    async for one in in_slices(pipelines):
        try:
            pace = Pace(
                timetable=parts.timetable(one),
                backoff=parts.backoff(one),
                max_consecutive_errors=one.max_consecutive_errors,
                random=random,
            )
            prepared.append(Prepared(scheduled=one, spec=_spec(one), pace=pace))
        except AgoraError as error:
            problems.append(f"pipeline {one.id!r}: {error}")
    if problems:
        raise DeploymentError(problems)
    return prepared


async def check_factories(pipelines: Iterable[ScheduledPipeline]) -> None:
    """Raise `FactoryError` for all factories that show, without a run, that they are programming errors."""
    seen: set[int] = set()
    problems: list[str] = []
    async for one in in_slices(pipelines):
        if id(one.factory) not in seen:
            seen.add(id(one.factory))
            problem = factories.problem_of(one.factory)
            if problem:
                problems.append(f"pipeline {one.id!r}: {problem}")
    if problems:
        raise FactoryError("\n".join(problems))


def deployment_of(pipelines: Sequence[ScheduledPipeline], graceful_shutdown_timeout: float) -> Deployment:
    """Return *pipelines* as pure data."""
    draft = _Draft(graceful_shutdown_timeout)
    for one in pipelines:
        draft.add(_spec(one))
    return draft.deployment()


async def deployment_of_prepared(prepared: Iterable[Prepared], graceful_shutdown_timeout: float) -> Deployment:
    """Return what was *prepared* as pure data."""
    draft = _Draft(graceful_shutdown_timeout)
    async for one in in_slices(prepared):
        draft.add(one.spec)
    return draft.deployment()


class _Draft:
    """A deployment in the making."""

    def __init__(self, graceful_shutdown_timeout: float) -> None:
        self._grace = graceful_shutdown_timeout
        self._digest = sha256(str(graceful_shutdown_timeout).encode())
        self._specs: list[PipelineSpec] = []

    def add(self, spec: PipelineSpec) -> None:
        self._specs.append(spec)
        self._digest.update(repr(spec).encode(errors="backslashreplace"))

    def deployment(self) -> Deployment:
        return Deployment(
            pipelines=tuple(self._specs),
            graceful_shutdown_timeout=timedelta(seconds=self._grace),
            revision=self._digest.hexdigest()[:16],
        )


def _spec(one: ScheduledPipeline) -> PipelineSpec:
    limit = one.run_timeout_seconds
    return PipelineSpec(
        id=one.id,
        schedule=one.schedule,
        factory=intern(factories.import_path(one.factory)),
        max_records=one.max_records,
        max_consecutive_errors=one.max_consecutive_errors,
        run_timeout=None if limit is None else timedelta(seconds=limit),
    )
