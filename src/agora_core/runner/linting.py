"""What in the schedules of a pool is probably not meant: of each one, of its runs, and of all of them together."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from statistics import median_low

from agora_core.runner.chronicle import has_slots
from agora_core.runner.outlook import Known
from agora_core.spec.findings import Finding
from agora_core.spec.time import Timetable

HERD = 5
"""From so many pipelines on that are due within one minute, it is a herd."""

_AHEAD = timedelta(days=8)
_MOST_SLOTS = 3_000
_MOST_HERDS = 3
_ALIKE = 0.7
"""Of two herds with such a share of the same pipelines one is told."""

_GAPS = 20
_OFTEN = timedelta(minutes=5)
"""What is due more often is in many minutes anyway, and no part of a herd."""


def lint(pipelines: Sequence[Known], typical: Mapping[str, timedelta]) -> list[Finding]:
    """Return all findings, each with the pipelines that it is about.

    *typical* says how long the runs of a pipeline take as a rule, where that is known.
    """
    found = [replace(one, pipeline_ids=(known.scheduled.id,)) for known in pipelines for one in _of_one(known, typical)]
    return [*_joined(found), *_herds(pipelines)]


def _of_one(known: Known, typical: Mapping[str, timedelta]) -> Iterator[Finding]:
    timetable = known.pace.timetable
    own = getattr(timetable, "lint", None)
    if callable(own):
        yield from own(known.now)
    is_of_slots = has_slots(timetable, known.now)
    if is_of_slots and known.scheduled.id in typical:
        yield from _too_close(timetable, known.now, typical[known.scheduled.id])
    yield from _misfire(known.scheduled.schedule.options, is_of_slots=is_of_slots)


def _too_close(timetable: Timetable, now: datetime, length: timedelta) -> Iterator[Finding]:
    slots = list(islice(_slots(timetable, now), _GAPS))
    gaps = [later - earlier for earlier, later in pairwise(slots)]
    if gaps and length > (gap := median_low(gaps)):
        yield Finding(
            code="runs-too-long",
            message=f"its runs take {_words(length)} as a rule, and its slots are {_words(gap)} apart: of every "
            f"{length // gap + 1} slots one is run",
            hint="have it run less often, or faster; slots that pass while a run goes on are skipped",
        )


def _misfire(options: Mapping[str, object], *, is_of_slots: bool) -> Iterator[Finding]:
    given = [name for name in ("misfire", "misfire_window_seconds") if name in options]
    if given and not is_of_slots:
        yield Finding(
            code="misfire-without-effect",
            message=f"{' and '.join(given)} have no effect: the schedule names no moments that could be missed",
            hint="leave them out",
        )
    elif "misfire_window_seconds" in given and options.get("misfire") == "skip":
        yield Finding(
            code="misfire-without-effect",
            message="misfire_window_seconds has no effect beside misfire='skip': no slot that was missed is run anyway",
            hint="leave it out",
        )


def _joined(found: Iterable[Finding]) -> list[Finding]:
    """Return *found* with those joined that say the same of several pipelines."""
    by_text: dict[tuple[str, str], Finding] = {}
    for one in found:
        known = by_text.get((one.code, one.message))
        ids = one.pipeline_ids if known is None else (*known.pipeline_ids, *one.pipeline_ids)
        by_text[one.code, one.message] = replace(one, pipeline_ids=ids)
    return list(by_text.values())


def _herds(pipelines: Sequence[Known]) -> Iterator[Finding]:
    """Find the minutes in which the most pipelines are due."""
    due: defaultdict[datetime, list[str]] = defaultdict(list)
    for known in pipelines:
        timetable, now = known.pace.timetable, known.now
        if not has_slots(timetable, now):
            continue
        slots = list(islice(takewhile((now + _AHEAD).__gt__, _slots(timetable, now)), _MOST_SLOTS))
        if len(slots) > 1 and slots[1] - slots[0] < _OFTEN:
            continue
        for minute in dict.fromkeys(slot.astimezone(UTC).replace(second=0, microsecond=0) for slot in slots):
            due[minute].append(known.scheduled.id)
    told: list[set[str]] = []
    for minute in sorted(due, key=lambda one: (-len(due[one]), one)):
        ids = set(due[minute])
        if len(ids) < HERD or len(told) == _MOST_HERDS:
            return
        if any(len(ids & others) >= _ALIKE * len(ids) for others in told):
            continue
        told.append(ids)
        yield _herd(minute, due[minute])


def _herd(minute: datetime, ids: Sequence[str]) -> Finding:
    return Finding(
        code="herd",
        message=f"{len(ids)} pipelines are due in one minute, first at {minute:%Y-%m-%d %H:%M} UTC",
        hint="spread them: with a jitter, or in cron with H, such as 'H 2 * * *', which gives each a minute of its own",
        pipeline_ids=tuple(ids),
    )


def _slots(timetable: Timetable, after: datetime) -> Iterator[datetime]:
    slots = getattr(timetable, "slots", None)
    if callable(slots):
        yield from slots(after)
        return
    due = timetable.next_start(after, None)
    while due is not None and due > after:
        yield due
        after, due = due, timetable.next_start(due, None)


def _words(span: timedelta) -> str:
    return str(timedelta(seconds=round(span.total_seconds())))
