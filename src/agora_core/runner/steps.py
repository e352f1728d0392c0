"""Asks the paces of pipelines what follows, each with all that is known of its slots and of what was kept."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agora_core.runner.entries import Entry
from agora_core.runner.failures import error_line
from agora_core.runner.pace import NO_RETRY, RETRIES, SCHEDULE
from agora_core.runner.slot_ledger import SlotLedger
from agora_core.runner.slots import MisfirePolicy
from agora_core.spec.decisions import SlotReason
from agora_core.spec.time import Clock, Stop, Wait


class Steps:
    """What follows for each pipeline. One whose timetable or policy, a plugin, cannot answer ends; *broken* is told."""

    def __init__(self, slots: SlotLedger, clock: Clock, broken: Callable[[str, Exception], None]) -> None:
        self._slots = slots
        self._clock = clock
        self._broken = broken

    def next(self, entry: Entry, failures: int) -> Wait | Stop:
        """Return what follows the last run, after so many *failures* in a row."""
        return self._retried(entry, lambda: self._after(entry, failures))

    def first(self, entry: Entry) -> Wait | Stop:
        """Return the first step under this worker, given what an earlier one kept."""
        failures, memory = entry.status.consecutive_errors, entry.memory
        failed = memory.last_run if memory is not None else None
        if failures and failed is not None and failed.ended_at is not None:
            failed_at = failed.ended_at
            step = self._asked(entry, lambda: entry.pace.again(failures, self._clock.now(), failed_at))
            if isinstance(step, Stop) and memory is not None and memory.reason == step.reason == NO_RETRY:
                return replace(step, gave_up=False)  # the worker that saw it has told so: the schedule is merely over
            return self._slots.retried(entry, step, self._clock.now())
        if entry.settled is not None and entry.pace.has_slots:
            return self.missed(entry, SlotReason.DOWN)
        return self.next(entry, failures)

    def missed(self, entry: Entry, reason: SlotReason) -> Wait | Stop:
        """Return what to do where slots may have been missed for *reason*, and tell what becomes of them."""
        return self._asked(entry, lambda: self._slots.missed(entry, reason, self._clock.now()))

    def overdue(self, entry: Entry, wait: Wait) -> Wait | Stop:
        """Return what to do where the slot of *wait* has passed a while ago, with others behind it maybe.

        A retry is judged whenever it is due.
        """
        if wait.reason in RETRIES:
            return self._retried(entry, lambda: entry.pace.judged(wait, self._clock.now()))
        if entry.settled is None:
            entry.settled = wait.named - timedelta.resolution
        before = entry.settled
        step = self.missed(entry, SlotReason.LATE)
        is_at_once = isinstance(step, Wait) and step.reason == SCHEDULE and step.until <= self._clock.now()
        return wait if is_at_once and entry.settled == before else step

    def pass_over(self, entry: Entry, since: datetime) -> None:
        """Leave out the slots of a pause that began *since*."""
        self._asked(entry, lambda: self._slots.pass_over(entry, since, self._clock.now()))

    def moved(self, entry: Entry, wait: Wait, by: timedelta) -> Wait:
        """Return what *wait* has become, now that the wall clock was set *by* so much."""
        try:
            return _in_utc(entry.pace.moved(wait, entry.last, self._clock.now(), by, entry.settled))
        except Exception as error:  # noqa: BLE001  # a border: timetables are plugins; the next run's end will tell
            self._broken(entry.status.id, error)
            return wait

    def _after(self, entry: Entry, failures: int) -> Wait | Stop:
        runs_all = entry.pace.misfire.policy is MisfirePolicy.RUN_ALL and entry.pace.has_slots
        if failures or not runs_all or entry.settled is None:
            return entry.pace.after(entry.last, failures, self._clock.now(), entry.settled)
        return self._slots.missed(entry, SlotReason.RUNNING, self._clock.now())

    def _retried(self, entry: Entry, ask: Callable[[], Wait | Stop]) -> Wait | Stop:
        """Ask, and have it told where the answer is that a failed run is not retried."""
        return self._slots.retried(entry, self._asked(entry, ask), self._clock.now())

    def _asked(self, entry: Entry, ask: Callable[[], Wait | Stop]) -> Wait | Stop:
        try:
            wanted = ask()
            return wanted if isinstance(wanted, Stop) or wanted.until.tzinfo is UTC else _in_utc(wanted)
        except Exception as error:  # noqa: BLE001  # a border: timetables and policies are plugins
            self._broken(entry.status.id, error)
            return Stop(f"its schedule or its backoff policy failed: {error_line(error)}", gave_up=True)


def _in_utc(wait: Wait) -> Wait:
    if wait.until.tzinfo is None:
        raise TypeError(f"the schedule named {wait.until!r}, which has no time zone")
    return replace(wait, until=wait.until.astimezone(UTC))
