"""`agora pause`, `agora resume`, `agora trigger`: asked of the running worker through its state, and confirmed."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from agora_core.cli.endings import FAILED, Ended
from agora_core.cli.json_output import say_json
from agora_core.cli.options import json_option, project_options, state_option
from agora_core.cli.printing import complain, say
from agora_core.cli.projects import load_pool
from agora_core.cli.schedule_known import Kept, known_of
from agora_core.cli.states import in_state
from agora_core.runner import without_worker
from agora_core.runner.pool import WorkerPool
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.state import ControlAction, ControlRequest, PipelineMemory, StateStore

Command = TypeVar("Command", bound=Callable[..., Any])

_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 0.1


def _steering(command: Command) -> Command:
    """Add what the three commands share."""
    patience = click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=_PATIENCE_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the worker's answer.",
    )
    argument = click.argument("pipeline_id", metavar="ID")
    return argument(project_options(state_option(patience(json_option(command)))))


@click.command
@_steering
def pause(**given: Any) -> None:
    """Let the pipeline ID start no further run, now and under later workers, until agora resume.

    Where no worker runs, the next one finds it paused. Exit code 1: the worker did not do it.
    """
    _steer(ControlAction.PAUSE, **given)


@click.command
@_steering
def resume(**given: Any) -> None:
    """Let the paused pipeline ID follow its schedule again; slots that passed meanwhile are not made up for.

    Where no worker runs, the next one finds it resumed. Exit code 1: the worker did not do it.
    """
    _steer(ControlAction.RESUME, **given)


@click.command
@_steering
def trigger(**given: Any) -> None:
    """Have the running worker start a run of the pipeline ID now, be it paused or not.

    Exit code 1: no worker runs, or it did not do it.
    """
    _steer(ControlAction.TRIGGER, **given)


def _steer(
    action: ControlAction,
    *,
    pipeline_id: str,
    module: str | None,
    config: Path | None,
    state: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    pool = load_pool(module, config)
    known = [one.id for one in pool.pipelines]
    if pipeline_id not in known:
        raise ConfigError(
            f"no pipeline {pipeline_id!r}; known: {', '.join(known) or 'none'}{did_you_mean(pipeline_id, known)}"
        )
    wanted = ControlRequest(pipeline_id=pipeline_id, action=action, asked_at=datetime.now(UTC))
    done = in_state(pool, state, lambda store: _asked(store, pool, wanted, timeout))
    if as_json:
        say_json({"pipeline_id": pipeline_id, "action": action.value, "done": done.accepted, "answer": done.answer})
    elif done.accepted:
        say(f"{pipeline_id}: {done.answer}")
    else:
        complain(f"agora: {pipeline_id}: {done.answer}")
    if not done.accepted:
        raise Ended(FAILED)


async def _asked(store: StateStore, pool: WorkerPool, wanted: ControlRequest, patience: float) -> ControlRequest:
    """Return the request with its answer: that of the worker, or ours where none runs."""
    if await store.claimed_by() is None:
        return await _without_worker(store, pool, wanted)
    number = await store.ask(wanted)
    try:
        async with asyncio.timeout(patience):
            while True:
                answer = await store.request(number)
                if answer is not None and answer.answered_at is not None:
                    return answer
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        return replace(wanted, answer="the worker has not answered yet; it may still do it")


async def _without_worker(store: StateStore, pool: WorkerPool, wanted: ControlRequest) -> ControlRequest:
    if wanted.action is ControlAction.TRIGGER:
        return replace(wanted, answer="no worker runs; start one with agora worker, or the pipeline with agora run")
    scheduled = next(one for one in pool.pipelines if one.id == wanted.pipeline_id)
    found = {memory.pipeline_id: memory for memory in await store.memories()}
    memory = found.get(scheduled.id) or PipelineMemory(pipeline_id=scheduled.id, schedule=str(scheduled.schedule))
    is_paused = memory.paused_at is not None
    if is_paused is (wanted.action is ControlAction.PAUSE):
        return replace(wanted, answer="it is paused already" if is_paused else "it was not paused")
    if wanted.action is ControlAction.PAUSE:
        await store.record(memories=[without_worker.paused(memory, wanted.asked_at)])
        return replace(wanted, accepted=True, answer="paused; no worker runs now, and the next one will find it so")
    (known,) = known_of([scheduled], Kept(), wanted.asked_at)
    memory, decisions = without_worker.resumed(known, memory)
    await store.record(memories=[memory], decisions=decisions)
    return replace(wanted, accepted=True, answer="resumed; no worker runs now, and the next one will find it so")
