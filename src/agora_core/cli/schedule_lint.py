"""`agora schedule lint`: what in schedules is probably not meant."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median_low

import click

from agora_core.cli.endings import FAILED, Ended
from agora_core.cli.json_output import say_json
from agora_core.cli.options import json_option, project_options, state_option
from agora_core.cli.printing import counted, plain, say
from agora_core.cli.projects import load_pool
from agora_core.cli.schedule_known import Kept, known_of, successes_of
from agora_core.runner.linting import lint
from agora_core.spec.findings import Finding

_HISTORY = 50
_SHOWN = 5


@click.command("lint")
@project_options
@state_option
@json_option
@click.option("--strict", is_flag=True, help="Exit with 1 when there is a finding.")
def lint_schedules(*, module: str | None, config: Path | None, state: str | None, as_json: bool, strict: bool) -> None:
    """Say what in the schedules works, and is probably not meant.

    Days that are joined by or, days that some months do not have, steps that are uneven, times that the next changes
    of the clocks meet, pipelines that are all due at one time, slots closer than runs are long. Findings are warnings:
    the exit code is 0, or 1 with --strict.
    """
    pool = load_pool(module, config)
    history = successes_of(pool, state, pool.pipelines, _HISTORY)
    typical = {
        name: median_low(run.ended_at - run.started_at for run in runs if run.ended_at is not None)
        for name, runs in history.items()
    }
    found = lint(known_of(pool.pipelines, Kept(), datetime.now(UTC)), typical)
    if as_json:
        say_json([_as_json(one) for one in found])
    else:
        for one in found:
            _say(one)
        say(f"{counted(len(pool.pipelines), 'schedule')} looked at, {counted(len(found), 'finding')}")
    if found and strict:
        raise Ended(FAILED)


def _say(one: Finding) -> None:
    say(plain(f"{_named(one.pipeline_ids)}: {one.message} [{one.code}]"))
    if one.hint:
        say(plain(f"    {one.hint}"))


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else "")


def _as_json(one: Finding) -> dict[str, object]:
    return {"code": one.code, "pipeline_ids": list(one.pipeline_ids), "message": one.message, "hint": one.hint or None}
