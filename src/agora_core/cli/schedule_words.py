"""Why a pipeline runs when it does, or does not, in words that are understood at three in the morning."""

from datetime import tzinfo

from agora_core.cli.printing import counted
from agora_core.cli.times_shown import local, words
from agora_core.runner.fires import Fires
from agora_core.runner.outlook import Known, Outlook
from agora_core.runner.pace import BACKOFF, CAUGHT_UP, NO_RETRY, RETRIES, is_of_spans
from agora_core.spec.decisions import CaughtUp
from agora_core.spec.misfires import MisfirePolicy
from agora_core.spec.time import Stop, Wait


def why_next(known: Known, view: Outlook, zone: tzinfo) -> str:
    """Return why the next run is just then."""
    step = view.step
    if not isinstance(step, Wait):
        return why_not(known, view, zone)
    if known.running is not None:
        return f"its run since {local(known.running.started_at, zone)} goes on; the first one after that"
    if step.reason in RETRIES:
        until = f", or later up to {local(view.latest, zone)}: chance decides" if view.latest is not None else ""
        put_off = "" if step.is_span else ", put off to the first moment that the schedule allows"
        what = "a retry" if step.reason == BACKOFF else "a try after the cool-down"
        return f"{what} after {counted(view.failures, 'failure')} in a row{put_off}{until}"
    if step.reason == CAUGHT_UP and known.pace.misfire.policy is MisfirePolicy.RUN_ALL:
        return f"the slot {local(step.named, zone)} passed while no worker ran; each slot has a run of its own"
    if step.reason == CAUGHT_UP:
        missed = next((one for one in view.decisions if isinstance(one, CaughtUp)), None)
        many = counted(missed.count, "slot") if missed is not None else "slots"
        return f"{many} passed while no worker ran; one run, for {local(step.named, zone)}, stands for all of them"
    return _why_by_schedule(known, view, step, zone)


def _why_by_schedule(known: Known, view: Outlook, step: Wait, zone: tzinfo) -> str:
    schedule = known.scheduled.schedule
    if is_of_spans(known.pace.timetable):
        if view.last is None or view.last.ended_at is None:
            when = "once" if step.until <= known.now else "the first moment that the schedule allows"
            return f"{schedule}: the first run is at {when}"
        return f"{schedule}, from the end of its last run at {local(view.last.ended_at, zone)}"
    return f"{schedule}: at once" if step.until <= known.now else "the schedule"


def why_not(known: Known, view: Outlook, zone: tzinfo) -> str:
    """Return why there is no next run."""
    memory = known.memory
    if view.step is None and memory is not None and memory.paused_at is not None:
        return f"paused by hand since {local(memory.paused_at, zone)}; agora resume {known.scheduled.id} lets it go on"
    if isinstance(view.step, Stop) and memory is not None and memory.reason and known.owner is not None:
        return f"it has ended: {memory.reason}{taken_up(memory.reason)}"
    return view.step.reason if isinstance(view.step, Stop) else "nothing is due"


def taken_up(reason: str) -> str:
    """Return, behind the *reason* for which a pipeline has ended, what the next worker does about it."""
    return "" if reason == NO_RETRY else "; the next worker that starts takes it up again"


def why_then(ahead: Fires) -> str:
    """Return what follows the runs that are shown, where that is no moment of the calendar."""
    if ahead.interval is not None:
        return (
            f"then {words(ahead.interval)} after each run completes"
            if ahead.interval
            else "then at once after each run"
        )
    return "then never again" if ahead.is_last and ahead.next else ""
