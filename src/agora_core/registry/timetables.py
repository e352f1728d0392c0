"""Builds timetables: of the type that a schedule names, within the bounds that any schedule may have."""

from typing import cast

from agora_core.registry.bounded_timetable import Bounded, Excluded
from agora_core.registry.catalogue import Catalogue, Kind
from agora_core.registry.options import option_faults, parameters
from agora_core.registry.schedule_options import ScheduleOptions
from agora_core.registry.schedule_words import in_words, split
from agora_core.spec.calendars import Calendar
from agora_core.spec.errors import BadOptionsError, ConfigError, OfferError
from agora_core.spec.misfires import Misfire
from agora_core.spec.offers import Choice
from agora_core.spec.time import Clock, Timetable

_BOUNDS = ("jitter", "start", "end", "max_runs", "exclude")


def build_timetable(catalogue: Catalogue, schedule: Choice, *, pipeline_id: str = "") -> Timetable:
    """Return the timetable of *schedule*, or raise an `OfferError`; without options of any schedule, the type's own."""
    own, general = split(schedule.options)
    if not general:
        return catalogue.build(Kind.SCHEDULE_TYPE, schedule, pipeline_id=pipeline_id)
    options = read_options(schedule)
    choice = Choice(schedule.name, own, schedule.remedy)
    zone = {} if options.timezone is None else {"timezone": options.timezone}
    base = catalogue.build(Kind.SCHEDULE_TYPE, choice, pipeline_id=pipeline_id, **zone)
    spans = getattr(base, "spans", False) is True
    if spans and (options.misfire is not None or options.misfire_window_seconds is not None):
        raise BadOptionsError(
            Kind.SCHEDULE_TYPE,
            schedule.name,
            problem="misfire is about slots that were missed, and this schedule has none: it goes by when runs end",
        )
    if not any(general.get(name) not in (None, 0, (), []) for name in _BOUNDS):
        return base
    takes_zone = "timezone" in (parameters(catalogue.builder(Kind.SCHEDULE_TYPE, choice)) or {})
    return Bounded(
        base=base,
        summary=f"{getattr(base, 'summary', schedule.name)}{in_words(general, with_zone=not takes_zone)}",
        spans=spans,
        offset=options.offset(pipeline_id),
        start=options.moment("start", options.zone),
        end=options.moment("end", options.zone),
        max_runs=options.max_runs,
        excluded=_excluded(catalogue, options, pipeline_id),
    )


def judge_schedule(*, catalogue: Catalogue, schedule: Choice, clock: Clock, pipeline_id: str = "") -> None:
    """Raise an `OfferError` when *schedule* cannot be built, or has no slot at all."""
    timetable = build_timetable(catalogue, schedule, pipeline_id=pipeline_id)
    if isinstance(timetable, Bounded):
        try:
            timetable.judge(clock.now())
        except OfferError:
            raise
        except ConfigError as error:
            raise BadOptionsError(Kind.SCHEDULE_TYPE, schedule.name, problem=str(error)) from error


def read_options(schedule: Choice) -> ScheduleOptions:
    """Return the options of *schedule* that every schedule may have, or raise `BadOptionsError`."""
    _, general = split(schedule.options)
    faults = option_faults(ScheduleOptions, general)
    if faults:
        problem = "; ".join(fault.text for fault in faults)
        raise BadOptionsError(Kind.SCHEDULE_TYPE, schedule.name, problem=problem)
    try:
        return ScheduleOptions(**general)  # type: ignore[arg-type]  # the types were checked
    except ConfigError as error:
        raise BadOptionsError(Kind.SCHEDULE_TYPE, schedule.name, problem=str(error)) from error


def misfire_of(schedule: Choice) -> Misfire:
    """Return what becomes of the slots of *schedule* that are missed."""
    return read_options(schedule).missed if split(schedule.options)[1] else Misfire()


def is_jittered(schedule: Choice) -> bool:
    """Return whether each pipeline has slots of its own by this *schedule*."""
    return bool(schedule.options.get("jitter"))


def _excluded(catalogue: Catalogue, options: ScheduleOptions, pipeline_id: str) -> Excluded | None:
    if not options.spans and not options.calendars:
        return None
    return Excluded(
        zone=options.zone,
        spans=options.spans,
        calendars=tuple(_calendar(catalogue, one, options.zone.name, pipeline_id) for one in options.calendars),
    )


def _calendar(catalogue: Catalogue, one: object, timezone: str, pipeline_id: str) -> Calendar:
    if not isinstance(one, Choice):
        return cast("Calendar", one)
    return catalogue.build(Kind.CALENDAR, one, pipeline_id=pipeline_id, timezone=timezone)
