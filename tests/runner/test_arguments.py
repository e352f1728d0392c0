"""What users may pass, and the one sentence that refuses the rest."""

from math import inf, nan

import pytest

from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import ConfigError
from agora_core.spec.offers import Choice


async def build():
    return None


NONSENSE = [0, -1, nan, inf, -inf, True, "60", None, 10**400, 1e12]


@pytest.mark.parametrize("value", NONSENSE, ids=repr)
def test_nonsense_seconds_are_refused(value):
    """A wait that is no positive number is refused where it is given, and named."""
    with pytest.raises(ConfigError, match="error_backoff_seconds"):
        ScheduledPipeline(build, Schedule.once(), error_backoff_seconds=value)


@pytest.mark.parametrize("value", [one for one in NONSENSE if one is not None], ids=repr)
def test_nonsense_time_outs_are_refused(value):
    """A time-out is a positive number or None."""
    with pytest.raises(ConfigError, match="run_timeout_seconds"):
        ScheduledPipeline(build, Schedule.once(), run_timeout_seconds=value)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", nan], ids=repr)
@pytest.mark.parametrize("name", ["max_records", "max_consecutive_errors"])
def test_nonsense_counts_are_refused(name, value):
    """Counts are whole numbers of at least 1."""
    with pytest.raises(ConfigError, match=name):
        ScheduledPipeline(build, Schedule.once(), **{name: value})


@pytest.mark.parametrize("value", ["", "a b", "x" * 129, 'a"b', "a\n", None, 7, "größe"], ids=repr)
def test_illegal_ids_are_refused(value):
    """An id has 1 to 128 of the allowed characters, so that it can be a label and a file name."""
    with pytest.raises(ConfigError, match="pipeline_id"):
        ScheduledPipeline(build, Schedule.once(), value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("health_port", 70_000),
        ("health_port", -1),
        ("health_port", True),
        ("health_port", "8080"),
        ("health_host", ""),
        ("health_host", None),
        ("graceful_shutdown_timeout", -1),
        ("graceful_shutdown_timeout", nan),
        ("graceful_shutdown_timeout", inf),
        ("health_required", 1),
        ("allow_unauthenticated", "yes"),
        ("stall_seconds", 0),
        ("engine", 3),
    ],
)
def test_nonsense_for_a_pool_is_refused(name, value):
    """Each argument of a pool is checked where it is given."""
    with pytest.raises(ConfigError, match=name):
        WorkerPool(**{name: value})


def test_no_grace_at_all_can_be_asked_for():
    """A graceful_shutdown_timeout of 0 cancels at once."""
    assert WorkerPool(graceful_shutdown_timeout=0).settings.graceful_shutdown_timeout == 0


def test_a_token_is_never_shown():
    """The token is in no repr."""
    pool = WorkerPool(health_auth_token="my-secret-token")

    assert "my-secret-token" not in repr(pool) + repr(pool.settings)


def test_a_coroutine_is_no_factory():
    """Calling the factory where it should be passed is told, and leaves no coroutine that was never awaited."""
    with pytest.raises(ConfigError, match="not its result"):
        ScheduledPipeline(build(), Schedule.once())


def test_a_pipeline_is_no_factory():
    """Passing a pipeline in place of its factory is told."""

    class Pipeline:
        async def run(self, max_records=None): ...

    with pytest.raises(ConfigError, match="not the pipeline"):
        ScheduledPipeline(Pipeline(), Schedule.once())


@pytest.mark.parametrize("value", [None, 3, "build"], ids=repr)
def test_what_cannot_be_called_is_no_factory(value):
    """A factory must be callable."""
    with pytest.raises(ConfigError, match="factory"):
        ScheduledPipeline(value, Schedule.once())


@pytest.mark.parametrize("value", [None, "every 6h", 6], ids=repr)
def test_a_schedule_must_be_one(value):
    """A schedule is a value of its own, not a text."""
    with pytest.raises(ConfigError, match="schedule"):
        ScheduledPipeline(build, value)


def test_backoff_policies_are_names_choices_or_objects():
    """A policy is chosen by name, or is an object with `delay`; a class in place of its object is refused."""

    class Policy:
        def delay(self, failures, random): ...

    policy = Policy()

    assert ScheduledPipeline(build, Schedule.once(), backoff_policy="constant").backoff_policy == Choice("constant")
    assert ScheduledPipeline(build, Schedule.once(), backoff_policy=policy).backoff_policy is policy
    for wrong in (Policy, 3, ""):
        with pytest.raises(ConfigError, match="backoff_policy"):
            ScheduledPipeline(build, Schedule.once(), backoff_policy=wrong)


def test_only_one_pipeline_may_have_an_id():
    """Two pipelines of one id are refused, and so is what is no pipeline."""
    pool = WorkerPool().register(ScheduledPipeline(build, Schedule.once(), "a"))

    with pytest.raises(ConfigError, match="two pipelines have the id 'a'"):
        pool.register(ScheduledPipeline(build, Schedule.once(), "a"))
    with pytest.raises(ConfigError, match="takes a ScheduledPipeline"):
        pool.register(build)


def test_settings_can_be_overridden_and_are_checked():
    """`override` replaces what it names, checks it, and knows what a pool has."""
    pool = WorkerPool(health_port=8080).override(health_port=0, graceful_shutdown_timeout=1.0)

    assert pool.health_port == 0
    assert pool.settings.graceful_shutdown_timeout == 1.0
    with pytest.raises(ConfigError, match="did you mean 'health_port'"):
        pool.override(healthport=1)
    with pytest.raises(ConfigError, match="health_port"):
        pool.override(health_port=70_000)
