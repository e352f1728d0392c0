"""Keeps account of all pipelines' slots: up to which they are settled, and what is told of those without a run."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from agora_core.runner import rhythm, statuses
from agora_core.runner.entries import Entry
from agora_core.runner.live import Live
from agora_core.runner.pace import CAUGHT_UP, NO_RETRY, SCHEDULE, TRIGGER
from agora_core.runner.slots import MisfirePolicy, Missed, passed, settled_by
from agora_core.runner.told import Told
from agora_core.spec.decisions import CaughtUp, Decision, Delayed, NotRetried, Skipped, SlotReason
from agora_core.spec.runs import Run
from agora_core.spec.time import Stop, Wait


class Note(Protocol):
    """Has a decision kept with what its pipeline is to remember."""

    def __call__(self, entry: Entry, *, decision: Decision | None = None, reason: str = "") -> None:
        """Keep *decision*; *reason* is why the pipeline stops over it."""


class SlotLedger:
    """Changes what each pipeline's entry knows of its slots, and tells every decision: *events* first, then *note*.

    Timetables are plugins: what they raise passes through here, except at the end of a run.
    """

    def __init__(self, events: Told, note: Note) -> None:
        self._events = events
        self._note = note
        self._gaps: dict[str, tuple[SlotReason, datetime]] = {}
        """Why no run could be, and until when, for those whose missed slots are run one after the other."""

    def begun(self, entry: Entry, run: Run) -> None:
        """A run begins: its slot is settled, and those for which it stands are told."""
        slot = run.slot if run.trigger in (SCHEDULE, CAUGHT_UP) else None
        self.settle_before(entry, slot, run.started_at)
        self._tell_caught_up(entry, run)

    def delayed(self, entry: Entry, run: Run, by: timedelta) -> None:
        """A run begins that had to wait so long for its turn."""
        told = Delayed(pipeline_id=run.pipeline_id, at=run.started_at, reason=SlotReason.QUEUED, slot=run.slot, by=by)
        self._tell(entry, told)

    def ended(self, entry: Entry, run: Run, live: Live) -> None:
        """A run has ended: tell of the slots that passed without one of their own since the last."""
        if entry.pace.misfire.policy is MisfirePolicy.RUN_ALL:
            return  # those have runs of their own to come
        since = run.slot if entry.settled is None else entry.settled
        before = SlotReason.RETRYING
        if live.reason == TRIGGER and run.attempt == 1:
            before = SlotReason.LATE if entry.paused_at is None else SlotReason.PAUSED
        try:
            found = rhythm.skipped(
                entry.pace.timetable,
                entry.last,
                run,
                reason=live.reason,
                since=since,
                before=before,
                queued_for=live.queued_for,
            )
        except Exception:  # noqa: BLE001  # a border: timetables are plugins; one that fails is told at the next step
            return
        for why, gone in found.items():
            self._tell(entry, _skipped(entry, why, gone, run.ended_at or run.started_at))

    def settle(self, entry: Entry, run: Run) -> None:
        """Have no slot named again that *run* was for, or that passed meanwhile."""
        if not entry.pace.has_slots or entry.settled is None:
            return
        if entry.pace.misfire.policy is not MisfirePolicy.RUN_ALL and run.ended_at is not None:
            entry.settled = max(entry.settled, run.ended_at)
        entry.done_until = entry.settled

    def passed_over(self, entry: Entry, slot: datetime, now: datetime) -> None:
        """The run of *slot* was cancelled while it was queued."""
        self._tell(entry, Skipped(pipeline_id=entry.status.id, at=now, reason=SlotReason.QUEUED, slot=slot))

    def missed(self, entry: Entry, reason: SlotReason, now: datetime) -> Wait | Stop:
        """Return what to do where slots may have been missed for *reason*, and tell what becomes of them."""
        found = entry.pace.missed(entry.last, now, entry.settled, reason)
        for why, gone in found.skipped:
            entry.settled = entry.done_until = gone.latest.astimezone(UTC)
            self._tell(entry, _skipped(entry, why, gone, now))
        if found.slot is None:
            return Stop("its schedule names no further run")
        if found.caught_up is None:
            return Wait(found.slot, SCHEDULE)
        entry.missed = self._why(entry, found.caught_up, reason, now), found.caught_up
        return Wait(now, CAUGHT_UP, slot=found.slot.astimezone(UTC))

    def _why(self, entry: Entry, gone: Missed, reason: SlotReason, now: datetime) -> SlotReason:
        """Return why the slots *gone* were missed: where runs make up for a gap one by one, all of them for the gap."""
        if entry.pace.misfire.policy is not MisfirePolicy.RUN_ALL:
            return reason
        if reason is not SlotReason.RUNNING:
            self._gaps[entry.status.id] = reason, now
        of_gap, until = self._gaps.get(entry.status.id, (reason, now))
        if gone.latest <= until:
            return of_gap
        self._gaps.pop(entry.status.id, None)
        return reason

    def pass_over(self, entry: Entry, since: datetime, now: datetime) -> Wait | Stop:
        """Have no slot up to *now* named any more, and tell of those that a pause kept from their runs."""
        begin = settled_by(entry.settled, now) or since
        if begin < now:
            gone = passed(entry.pace.timetable, entry.last, begin, now)
            entry.settled = now
            if entry.live is None:  # or the next worker would not know that the slot of the run is not done
                entry.done_until = now
            if gone is not None:
                self._tell(entry, _skipped(entry, SlotReason.PAUSED, gone, now))
        return Stop("")

    def settle_before(self, entry: Entry, slot: datetime | None, now: datetime) -> None:
        """Have no slot named again up to *slot*, whose run begins; or, without one, before that which is waited for."""
        if not entry.pace.has_slots:
            return
        if settled_by(entry.settled, now) is None:
            planned = slot or entry.status.next_run_at or now
            entry.settled = entry.done_until = min(planned, now) - timedelta.resolution
        if slot is not None and entry.settled is not None:
            entry.settled = max(entry.settled, slot)

    def retried(self, entry: Entry, step: Wait | Stop, now: datetime) -> Wait | Stop:
        """Return *step*, and tell where it means that a failed run is not retried."""
        failed = entry.status.last_run
        if isinstance(step, Stop) and step.reason == NO_RETRY and failed is not None:
            told = NotRetried(pipeline_id=entry.status.id, at=now, reason=SlotReason.ENDED, slot=failed.slot)
            self._tell(entry, told, reason=step.reason)
        return step

    def _tell(self, entry: Entry, decision: Decision, *, reason: str = "") -> None:
        """Tell everywhere why slots had no run at their moment; *reason* is why the pipeline stops over it."""
        entry.status = statuses.told(entry.status, decision)
        self._events.slot_decided(decision)
        self._note(entry, decision=decision, reason=reason)

    def _tell_caught_up(self, entry: Entry, run: Run) -> None:
        missed, entry.missed = entry.missed, None
        if missed is not None and run.trigger == CAUGHT_UP:
            reason, slots = missed
            late = run.started_at - run.slot
            self._tell(
                entry,
                CaughtUp(
                    pipeline_id=run.pipeline_id,
                    at=run.started_at,
                    reason=reason,
                    slot=run.slot,
                    count=slots.count,
                    by=late,
                ),
            )


def _skipped(entry: Entry, reason: SlotReason, gone: Missed, at: datetime) -> Skipped:
    slot = gone.first.astimezone(UTC)
    return Skipped(pipeline_id=entry.status.id, at=at, reason=reason, slot=slot, count=gone.count)
