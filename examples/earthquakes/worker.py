"""The pipelines of pipelines.toml, written in Python. Start them with `agora worker` in this directory."""

from earthquakes import is_strong, normalize, was_felt

from agora import DeliveryConfig, JsonlSink, JsonSource, Pipeline, SqliteDlq, SqliteSink
from agora.runner import BoundPipeline, Schedule, ScheduledPipeline, WorkerPool

FEED = "usgs_all_week_2018-02-07.geojson"
KEEP_DEAD_LETTERS = DeliveryConfig(dlq=SqliteDlq("dead_letters.db"))


async def build_week() -> BoundPipeline:
    """The whole week, into a database and a file."""
    return (
        Pipeline(JsonSource(FEED, records="features"))
        .map(normalize)
        .build(
            SqliteSink("earthquakes.db", table="earthquakes", key="id"),
            JsonlSink("earthquakes.jsonl"),
            config=KEEP_DEAD_LETTERS,
        )
    )


async def build_strong() -> BoundPipeline:
    """The strong ones, always the whole file anew."""
    return (
        Pipeline(JsonSource(FEED, records="features"))
        .filter(is_strong)
        .map(normalize)
        .build(JsonlSink("strong.jsonl", mode="replace"), config=KEEP_DEAD_LETTERS)
    )


async def build_felt() -> BoundPipeline:
    """Those that somebody felt."""
    return (
        Pipeline(JsonSource(FEED, records="features"))
        .filter(was_felt)
        .map(normalize)
        .build(JsonlSink("felt.jsonl", mode="replace"), config=KEEP_DEAD_LETTERS)
    )


def get_worker() -> WorkerPool:
    """Return the pool that `agora worker` runs."""
    pool = WorkerPool(health_port=0)
    pool.register(ScheduledPipeline(factory=build_week, schedule=Schedule.once(), pipeline_id="week"))
    pool.register(ScheduledPipeline(factory=build_strong, schedule=Schedule.every(seconds=3), pipeline_id="strong"))
    pool.register(
        ScheduledPipeline(factory=build_felt, schedule=Schedule.cron("*/5 * * * * *", seconds=True), pipeline_id="felt")
    )
    return pool
