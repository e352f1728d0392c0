"""`agora schedule simulate`: what a pool would do."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from agora_core.cli.durations import Durations, durations_of, read_durations
from agora_core.cli.json_output import say_json
from agora_core.cli.not_simulated import not_simulated
from agora_core.cli.options import json_option, project_options, state_option
from agora_core.cli.printing import complain
from agora_core.cli.projects import load_pool
from agora_core.cli.schedule_known import successes_of
from agora_core.cli.schedule_times import Failing, Gap, When
from agora_core.cli.simulated_shown import say_simulated, simulated_as_json
from agora_core.registry.plugins import installed
from agora_core.runner.pool import WorkerPool
from agora_core.runner.simulation import Outage, Plan, Simulated, simulate
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.offers import late

_columns: Callable[..., int] = late("agora_core.cli.timeline_scene:columns")
_timeline: Callable[..., Any] = late("agora_core.cli.timeline:Timeline")
_write_pictures: Callable[..., None] = late("agora_core.cli.pictures:write_pictures")

_SPAN = timedelta(days=7)
_LONGEST = timedelta(days=3660)
_HISTORY = 200
"""So many of the latest runs of each pipeline say how long its runs take."""


@click.command("simulate")
@click.option("--from", "since", type=When(), metavar="T", help="When the worker starts; by default now.")
@click.option("--to", "until", type=When(), metavar="T", help="Where to end; by default a week after the start.")
@click.option(
    "--outage",
    "outages",
    type=Gap(),
    multiple=True,
    metavar="A..B",
    help="The worker dies at A and is started again at B, or so much later: 2026-12-01T10:00..2h. Repeatable.",
)
@click.option(
    "--durations",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="How long runs take, as JSON or TOML: id to seconds, to a list of them, or to {median, p95}.",
)
@click.option(
    "--fail",
    "failures",
    type=Failing(),
    multiple=True,
    metavar="ID:RATE",
    help="This share of its runs fails: ingest:0.05, or 5%; * is every pipeline. Repeatable.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Another one, other luck.")
@click.option("--svg", type=click.Path(path_type=Path), metavar="FILE", help="Draw it: a lane for each pipeline.")
@click.option("--png", type=click.Path(path_type=Path), metavar="FILE", help="The same; needs Pillow.")
@project_options
@state_option
@json_option
def simulate_pool(
    *,
    since: datetime | None,
    until: datetime | None,
    outages: Sequence[tuple[datetime, datetime]],
    durations: Path | None,
    failures: Sequence[tuple[str, float]],
    seed: int,
    svg: Path | None,
    png: Path | None,
    module: str | None,
    config: Path | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Work out what a worker would do, without running anything.

    It begins at --from and remembers nothing. What it decides by are the functions of the real one, so that outages,
    failures, retries, slots that pass and are caught up come as they would, and runs are queued for the pool's
    max_concurrent_runs, max_processes and resources as they would be. Run times come from --durations, else from the
    history in the worker's state, else they are a second. The same --seed gives the same. What is not simulated is said
    at the end.
    """
    if png is not None and find_spec("PIL") is None:
        raise ConfigError("--png needs Pillow; pip install pillow, or draw with --svg, which needs nothing")
    pool = load_pool(module, config)
    begin = _in_utc(since) if since is not None else datetime.now(UTC).replace(second=0, microsecond=0)
    end = _in_utc(until) if until is not None else begin + _SPAN
    lengths = _durations(pool, state, durations)
    plan = Plan(
        since=begin,
        until=end,
        outages=_outages(outages, begin, end),
        lengths=lengths.lengths,
        failures=_failures(failures, pool),
        max_concurrent_runs=pool.settings.max_concurrent_runs,
        resources=pool.settings.resources,
        max_processes=pool.settings.max_processes,
        seed=seed,
    )
    found, left_out = _simulated(pool, plan, svg=svg, png=png), not_simulated(pool)
    if as_json:
        say_json(simulated_as_json(found, lengths, left_out))
    else:
        say_simulated(found, lengths, left_out)
    for path in (svg, png):
        if path is not None:
            complain(f"agora: drawn in {path}")


def _simulated(pool: WorkerPool, plan: Plan, *, svg: Path | None, png: Path | None) -> Simulated:
    """Simulate the pool, and draw what came of it where a picture is wanted."""
    if svg is None and png is None:
        return simulate(pool.pipelines, installed().catalogue, plan)
    picture = _timeline(since=plan.since, until=plan.until, columns=_columns(pipelines=len(pool.pipelines)))
    found = simulate(pool.pipelines, installed().catalogue, plan, draw=picture.row)
    _write_pictures(timeline=picture, outages=plan.outages, svg=svg, png=png)
    return found


def _durations(pool: WorkerPool, state: str | None, path: Path | None) -> Durations:
    ids = [one.id for one in pool.pipelines]
    written = read_durations(path, ids) if path is not None else {}
    return durations_of(ids, written, successes_of(pool, state, pool.pipelines, _HISTORY))


def _outages(given: Sequence[tuple[datetime, datetime]], since: datetime, until: datetime) -> Sequence[Outage]:
    if not since < until <= since + _LONGEST:
        raise ConfigError(f"from {since:%Y-%m-%dT%H:%M}Z to {until:%Y-%m-%dT%H:%M}Z is not up to ten years, in order")
    found = sorted((_in_utc(begin), _in_utc(end)) for begin, end in given)
    last = since
    for begin, end in found:
        if not last < begin < end < until:
            raise ConfigError(
                f"--outage {begin:%Y-%m-%dT%H:%M}Z..{end:%Y-%m-%dT%H:%M}Z must lie between --from and --to, and apart "
                "from the others"
            )
        last = end
    return [Outage(begin=begin, end=end) for begin, end in found]


def _failures(given: Sequence[tuple[str, float]], pool: WorkerPool) -> Mapping[str, float]:
    ids = [one.id for one in pool.pipelines]
    rates = dict.fromkeys(ids, next((rate for name, rate in given if name == "*"), 0.0))
    for name, rate in given:
        if name != "*" and name not in rates:
            raise ConfigError(f"--fail {name}: no pipeline {name!r}{did_you_mean(name, ids)}")
        rates |= {} if name == "*" else {name: rate}
    return rates


def _in_utc(moment: datetime) -> datetime:
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
