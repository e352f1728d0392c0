"""`agora runs`: the history of runs, as the worker keeps it in its state."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from agora_core.cli.json_output import say_json
from agora_core.cli.options import AT_MOST, Moment, json_option, project_options, state_option
from agora_core.cli.projects import load_pool
from agora_core.cli.runs_shown import run_as_json, say_run, say_runs, say_stats, stats_as_json, stats_of
from agora_core.cli.states import in_state
from agora_core.runner.remembering import INTERRUPTED
from agora_core.spec.decisions import Decision
from agora_core.spec.errors import ConfigError
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.state import RunQuery, StateStore

Command = TypeVar("Command", bound=Callable[..., Any])

_GOING_ON = "running"
_SHOWN = 20
_COUNTED = 100_000


@click.group
def runs() -> None:
    """Look at the history of runs.

    A worker keeps it in its state: what a --config or a worker --module names, or a --state FILE; by default
    .agora/state.db.
    """


def _filters(command: Command) -> Command:
    for option in reversed(
        (
            click.option("--pipeline", metavar="ID", help="Runs of this pipeline."),
            click.option(
                "--outcome",
                type=click.Choice([*(one.value for one in Outcome), _GOING_ON]),
                multiple=True,
                help="Runs that ended so, or that go on; repeatable.",
            ),
            click.option("--since", type=Moment(), help="Runs that started then or later: 2018-02-07, 2h, 7d."),
            click.option("--until", type=Moment(), help="Runs that started before then."),
        )
    ):
        command = option(command)
    return project_options(state_option(command))


@runs.command("list")
@_filters
@click.option("--limit", type=AT_MOST, default=_SHOWN, show_default=True, metavar="N")
@json_option
def list_runs(*, limit: int, as_json: bool, **given: Any) -> None:
    """List runs, the latest first."""
    found = _found(limit, **given)
    if as_json:
        say_json([run_as_json(run) for run in found])
    else:
        say_runs(found)


@runs.command
@click.argument("run_id", metavar="ID")
@project_options
@state_option
@json_option
def show(*, run_id: str, module: str | None, config: Path | None, state: str | None, as_json: bool) -> None:
    """Show one run: when and why it started, what became of its records, its error.

    ID is its id, or PIPELINE#NUMBER as agora runs list prints it.
    """
    pipeline_id, _, number = run_id.rpartition("#")
    named = RunQuery(pipeline_id=pipeline_id) if pipeline_id and number.isdecimal() else RunQuery(run_id=run_id)

    async def look(store: Any) -> tuple[Run, Sequence[Decision]] | None:
        for run in await _as_they_are(store, await store.runs(named)):
            if run.id == run_id or (named.run_id is None and run.number == int(number)):
                told = await store.decisions(run.pipeline_id)
                return run, [one for one in told if one.slot == run.slot]
        return None

    found = in_state(load_pool(module, config), state, look)
    if found is None:
        raise ConfigError(f"no run {run_id!r} in the history; agora runs list shows what there is")
    run, decisions = found
    if as_json:
        say_json({**run_as_json(run), "decisions": [str(one) for one in decisions]})
    else:
        say_run(run, decisions)


@runs.command
@_filters
@json_option
def stats(*, as_json: bool, **given: Any) -> None:
    """Count runs by pipeline and outcome, with how long they took: median, 95th percentile, longest."""
    rows = stats_of(_found(_COUNTED, **given))
    if as_json:
        say_json([stats_as_json(row) for row in rows])
    else:
        say_stats(rows)


def _found(
    limit: int,
    *,
    module: str | None,
    config: Path | None,
    state: str | None,
    pipeline: str | None,
    outcome: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
) -> Sequence[Run]:
    wanted = {None if one == _GOING_ON else Outcome(one) for one in outcome}
    # What goes on and what its worker's death has cut look alike in the store.
    are_kept = wanted.isdisjoint({None, Outcome.INTERRUPTED})
    kept = tuple(one for one in wanted if one is not None) if are_kept else ()
    query = RunQuery(pipeline_id=pipeline, outcomes=kept, since=since, until=until)

    async def look(store: Any) -> Sequence[Run]:
        found = await store.runs(query, limit=limit if are_kept else None)
        told = await _as_they_are(store, found)
        return told if are_kept else [run for run in told if run.outcome in wanted][:limit]

    return in_state(load_pool(module, config), state, look)


async def _as_they_are(store: StateStore, found: Sequence[Run]) -> Sequence[Run]:
    """Return the runs *found*; where no worker lives none goes on, and the next one will write that down."""
    if all(run.outcome is not None for run in found) or await store.claimed_by() is not None:
        return found
    return [
        replace(run, outcome=Outcome.INTERRUPTED, error=INTERRUPTED) if run.outcome is None else run for run in found
    ]
