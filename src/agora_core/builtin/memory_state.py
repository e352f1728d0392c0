"""`MemoryState`: what pipelines remember, in this process's memory: for tests, and for pools that keep nothing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import ClassVar

from agora_core.codec.records import decode_record, encode_record
from agora_core.spec.decisions import Decision
from agora_core.spec.errors import ConfigError, StoreError
from agora_core.spec.letters import Fidelity
from agora_core.spec.records import Position
from agora_core.spec.runs import Run
from agora_core.spec.state import ControlRequest, PipelineMemory, RunQuery, WorkerClaim

MOST_RUNS = 1000
"""So many runs of each pipeline, and decisions of its slots, are kept: memory has an end."""


class MemoryState:
    """Keeps all as long as it lives, opened or not; of each pipeline's history the last *most* entries."""

    is_private: ClassVar = True
    """Nobody outside of this process can reach it."""

    in_memory = True
    """Other processes see nothing of it."""

    def __init__(self, *, most: int = MOST_RUNS) -> None:
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise ConfigError(f"most must be a whole number of at least 1, not {most!r}")
        self._most = most
        self._positions: dict[str, bytes] = {}
        self._memories: dict[str, PipelineMemory] = {}
        self._runs: dict[str, dict[str, Run]] = {}
        self._decisions: dict[str, list[Decision]] = {}
        self._requests: dict[int, ControlRequest] = {}
        self._open_requests: dict[int, ControlRequest] = {}
        self._asked = 0
        self._claim: WorkerClaim | None = None

    async def open(self) -> None:
        """Do nothing: it is always ready."""

    async def close(self) -> None:
        """Do nothing: what was saved stays."""

    async def checkpoint(self, pipeline_id: str) -> Position | None:
        """Return a copy of the position last saved for the pipeline, or None."""
        payload = self._positions.get(pipeline_id)
        return None if payload is None else decode_record(payload)

    async def save_checkpoint(self, pipeline_id: str, position: Position) -> None:
        """Remember a copy of *position*; refuse what a durable store would refuse."""
        kept = encode_record(position)
        if kept.fidelity is not Fidelity.EXACT:
            raise StoreError(
                f"the position of pipeline {pipeline_id!r} cannot be kept: "
                f"{kept.type} is not a JSON value (number, text, list, dict)"
            )
        self._positions[pipeline_id] = kept.payload

    async def claim(self, claim: WorkerClaim) -> WorkerClaim | None:
        """Give the store to *claim*'s worker, or return the claim of the one that has it."""
        if self._claim is not None and self._claim.worker_id != claim.worker_id:
            return self._claim
        self._claim = claim
        return None

    async def release(self, worker_id: str) -> None:
        """Give up the claim; that of another worker stays."""
        if self._claim is not None and self._claim.worker_id == worker_id:
            self._claim = None

    async def claimed_by(self) -> WorkerClaim | None:
        """Return the claim of the worker that owns the store, or None."""
        return self._claim

    async def memories(self) -> Sequence[PipelineMemory]:
        """Return what is kept of each pipeline."""
        return list(self._memories.values())

    async def record(
        self,
        *,
        memories: Sequence[PipelineMemory] = (),
        runs: Sequence[Run] = (),
        decisions: Sequence[Decision] = (),
    ) -> None:
        """Keep all of it."""
        _refuse_other_values(memories, runs, decisions)
        for memory in memories:
            self._memories[memory.pipeline_id] = memory
        for run in runs:
            own = self._runs.setdefault(run.pipeline_id, {})
            own[run.id] = run
            if len(own) > self._most:
                del own[next(iter(own))]
        for decision in decisions:
            those = self._decisions.setdefault(decision.pipeline_id, [])
            those.append(decision)
            del those[: -self._most]

    async def runs(self, query: RunQuery, *, limit: int | None = None) -> Sequence[Run]:
        """Return the runs that match, the latest started first."""
        if query.pipeline_id is not None:
            found = list(self._runs.get(query.pipeline_id, {}).values())
        else:
            found = [run for own in self._runs.values() for run in own.values()]
        found.sort(key=lambda run: (run.started_at, run.number), reverse=True)
        return list(islice((run for run in found if _matches(run, query)), _most(limit)))

    async def decisions(
        self,
        pipeline_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Sequence[Decision]:
        """Return what was decided of the pipeline's slots in [since, until), the latest first."""
        own = sorted(self._decisions.get(pipeline_id, ()), key=lambda one: one.at)
        found = (one for one in reversed(own) if _is_within(one.at, since, until))
        return list(islice(found, _most(limit)))

    async def prune(self, before: datetime, *, keep: int) -> int:
        """Delete ended runs, decisions and answered requests from before then, but the last *keep* of each pipeline."""
        kept = max(keep, 0)
        gone = 0
        for own in self._runs.values():
            latest = sorted(own.values(), key=lambda run: (run.started_at, run.number), reverse=True)
            for run in latest[kept:]:
                if run.started_at < before and run.ended_at is not None and run.ended_at < before:
                    del own[run.id]
                    gone += 1
        for those in self._decisions.values():
            in_order = sorted(those, key=lambda one: one.at)
            older = max(len(in_order) - kept, 0)
            those[:] = [one for place, one in enumerate(in_order) if place >= older or one.at >= before]
            gone += len(in_order) - len(those)
        for number, request in list(self._requests.items()):
            if request.answered_at is not None and request.answered_at < before:
                del self._requests[number]
                gone += 1
        return gone

    async def ask(self, request: ControlRequest) -> int:
        """Keep a request; return its number."""
        self._asked += 1
        self._requests[self._asked] = self._open_requests[self._asked] = replace(request, id=self._asked)
        return self._asked

    async def requests(self) -> Sequence[ControlRequest]:
        """Return the requests that have no answer yet, the oldest first."""
        return list(self._open_requests.values())

    async def answer(self, request: ControlRequest) -> None:
        """Keep the answer in *request*, if there is one of its number."""
        if request.id in self._requests:
            self._requests[request.id] = request
            if request.answered_at is not None:
                self._open_requests.pop(request.id, None)

    async def request(self, number: int) -> ControlRequest | None:
        """Return the request of this number, or None where there is none."""
        return self._requests.get(number)


def _refuse_other_values(memories: Sequence[object], runs: Sequence[object], decisions: Sequence[object]) -> None:
    """Raise `StoreError` before anything is kept, as a durable store does of what it has no row for."""
    for values, kind in ((memories, PipelineMemory), (runs, Run), (decisions, Decision)):
        for value in values:
            if not isinstance(value, kind):
                raise StoreError(f"a state store keeps memories, runs and decisions, not {value!r:.200}")


def _most(limit: int | None) -> int | None:
    return None if limit is None else max(limit, 0)


def _matches(run: Run, query: RunQuery) -> bool:
    return (
        (query.run_id is None or run.id == query.run_id)
        and (not query.outcomes or run.outcome in query.outcomes)
        and (query.ended is None or query.ended == (run.outcome is not None))
        and _is_within(run.started_at, query.since, query.until)
    )


def _is_within(moment: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or moment >= since) and (until is None or moment < until)
