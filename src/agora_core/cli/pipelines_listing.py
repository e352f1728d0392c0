"""The registered pipelines, as rows for people and as JSON; no factory is called for it."""

from collections.abc import Sequence

from agora_core.cli.printing import counted, say, table
from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import Plugins
from agora_core.registry.schedule_words import calendars_of
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import OfferError
from agora_core.spec.isolation import IN_PROCESS
from agora_core.spec.offers import Choice


def pipelines_as_json(pipelines: Sequence[ScheduledPipeline], plugins: Plugins) -> list[dict[str, object]]:
    """Return each pipeline with its schedule, its limits, and what of it is missing."""
    return [
        {
            "id": pipeline.id,
            "schedule": str(pipeline.schedule),
            "max_records": pipeline.max_records,
            "max_consecutive_errors": pipeline.max_consecutive_errors,
            "error_backoff_seconds": pipeline.error_backoff_seconds,
            "backoff_policy": _policy(pipeline),
            "run_timeout_seconds": pipeline.run_timeout_seconds,
            "on_exhausted": pipeline.on_exhausted,
            "cool_down_seconds": pipeline.cool_down_seconds,
            "resources": dict(pipeline.resources),
            "priority": pipeline.priority,
            "isolation": pipeline.isolation,
            "problem": problem_of(pipeline, plugins) or None,
        }
        for pipeline in pipelines
    ]


def say_pipelines(pipelines: Sequence[ScheduledPipeline], plugins: Plugins) -> None:
    """Print a row for each pipeline, and under it what is missing for it to run."""
    say(f"Pipelines ({len(pipelines)})")
    lines = table([(p.id, str(p.schedule), _limits(p), _retries(p)) for p in pipelines], indent="  ")
    for pipeline, line in zip(pipelines, lines, strict=True):
        say(line)
        problem = problem_of(pipeline, plugins)
        if problem:
            say(f"    ! {problem}")


def problem_of(pipeline: ScheduledPipeline, plugins: Plugins) -> str:
    """Return why the pipeline cannot run with the plugins that are there, or an empty string."""
    try:
        plugins.catalogue.find(Kind.SCHEDULE_TYPE, pipeline.schedule)
        for calendar in calendars_of(pipeline.schedule):
            plugins.catalogue.find(Kind.CALENDAR, calendar)
        if isinstance(pipeline.backoff_policy, Choice):
            plugins.catalogue.find(Kind.BACKOFF_POLICY, pipeline.backoff_policy)
    except OfferError as error:
        return str(error)
    return ""


def _limits(pipeline: ScheduledPipeline) -> str:
    words = "all records" if pipeline.max_records is None else f"at most {counted(pipeline.max_records, 'record')}"
    if pipeline.run_timeout_seconds is not None:
        words += f" in {pipeline.run_timeout_seconds:g}s"
    if pipeline.resources:
        words += f" with {' and '.join(f'{amount} {name}' for name, amount in pipeline.resources.items())}"
    return words if pipeline.isolation == IN_PROCESS else f"{words}, in a process of its own"


def _retries(pipeline: ScheduledPipeline) -> str:
    times = counted(pipeline.max_consecutive_errors, "failure")
    cool_down = pipeline.cool_down_seconds
    end = f"gives up after {times}" if cool_down is None else f"cools down for {cool_down:g}s after {times}"
    return f"retried after {pipeline.error_backoff_seconds:g}s ({_policy(pipeline)}), {end}"


def _policy(pipeline: ScheduledPipeline) -> str:
    policy = pipeline.backoff_policy
    if policy is None:
        return "exponential"
    return str(policy) if isinstance(policy, Choice) else type(policy).__name__
