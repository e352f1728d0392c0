"""The pace of a registered pipeline: its parts, built."""

from datetime import timedelta
from random import Random

from agora_core.registry.timetables import misfire_of
from agora_core.runner.pace import Pace
from agora_core.runner.parts import Parts
from agora_core.runner.scheduled import ScheduledPipeline


def pace_of(one: ScheduledPipeline, parts: Parts, random: Random) -> Pace:
    """Return the rule that *one* runs by, or raise what is wrong with its schedule or its backoff policy."""
    return Pace(
        timetable=parts.timetable(one),
        backoff=parts.backoff(one),
        max_consecutive_errors=one.max_consecutive_errors,
        random=random,
        misfire=misfire_of(one.schedule),
        cool_down=None if one.cool_down_seconds is None else timedelta(seconds=one.cool_down_seconds),
    )
