"""Does what was asked of the worker from outside, through its state store, and answers."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from logging import getLogger

from agora_core.runner.store_troubles import Deed, StoreTroubles
from agora_core.spec.engines import EngineControl
from agora_core.spec.errors import ConfigError
from agora_core.spec.health import PipelineState, PipelineStatus
from agora_core.spec.state import ControlAction, ControlRequest, StateStore
from agora_core.spec.time import Clock

log = getLogger("agora.runner")

_POLL_SECONDS = 1.0
_TURNS = 3
"""After so many turns of the loop a run that was triggered has begun."""

_ENDED = (PipelineState.COMPLETED, PipelineState.STOPPED, PipelineState.FAILED)


class Requests:
    """Looks into *store* about once a second. *status_of* tells what the worker then did."""

    def __init__(
        self,
        store: StateStore,
        control: EngineControl,
        status_of: Callable[[str], PipelineStatus],
        clock: Clock,
        troubles: StoreTroubles,
    ) -> None:
        self._store = store
        self._control = control
        self._status_of = status_of
        self._clock = clock
        self._troubles = troubles
        self._done: dict[int, ControlRequest] = {}
        """What was done, until the store has the answer: nothing is done twice because that could not be written."""

    async def serve(self) -> None:
        """Answer requests until this is cancelled."""
        while True:
            try:
                for request in await self._store.requests():
                    if request.id not in self._done:
                        self._done[request.id] = await self.answered(request)
                    await self._store.answer(self._done[request.id])
                self._done.clear()
                self._troubles.succeeded(Deed.ANSWER)
            # A border: stores are plugins, and one that cannot be asked now may be asked later.
            except Exception as error:  # noqa: BLE001
                self._troubles.failed(Deed.ANSWER, error)
            await asyncio.sleep(_POLL_SECONDS)

    async def answered(self, request: ControlRequest) -> ControlRequest:
        """Do what is asked, and return the request with what was done."""
        accepted, answer = await self._do(request)
        extra = {"pipeline_id": request.pipeline_id, "action": request.action.value, "answer": answer}
        log.info("request answered", extra=extra)
        return replace(request, answered_at=self._clock.now(), accepted=accepted, answer=answer)

    async def _do(self, request: ControlRequest) -> tuple[bool, str]:
        try:
            before = self._status_of(request.pipeline_id)
        except KeyError:
            return False, "this worker has no such pipeline"
        act = {
            ControlAction.PAUSE: self._control.pause,
            ControlAction.RESUME: self._control.resume,
            ControlAction.TRIGGER: self._control.trigger,
        }[request.action]
        try:
            accepted = act(request.pipeline_id)
        except ConfigError as error:
            return False, str(error)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        after = self._shown(request.pipeline_id)
        return accepted, _in_words(request.action, before, after) if accepted else _refusal(request.action, before)

    def _shown(self, pipeline_id: str) -> PipelineStatus:
        found = next((one for one in self._control.status() if one.id == pipeline_id), None)
        return found or self._status_of(pipeline_id)


def _in_words(action: ControlAction, before: PipelineStatus, after: PipelineStatus) -> str:
    if action is ControlAction.TRIGGER:
        run, last = after.current_run or after.last_run, before.last_run
        if run is None or (last is not None and run.id == last.id):  # its first step is still to come
            return f"started run {last.number + 1 if last is not None else 1}"
        return f"started run {run.number}"
    if action is ControlAction.PAUSE:
        going_on = "; the run that goes on may end" if before.state is PipelineState.RUNNING else ""
        return f"paused{going_on}"
    due = after.next_run_at
    return "resumed" if due is None else f"resumed; the next run is at {due:%Y-%m-%d %H:%M:%S}Z"


def _refusal(action: ControlAction, status: PipelineStatus) -> str:
    if status.state in _ENDED:
        return f"it has ended ({status.state.value}): {status.reason or 'no reason is known'}"
    if action is ControlAction.TRIGGER:
        return "a run goes on already"
    return "it is paused already" if action is ControlAction.PAUSE else "it was not paused"
