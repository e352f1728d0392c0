"""What a look at schedules found that is probably not meant."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a schedule that works, and is probably not what its author has in mind."""

    code: str
    """What kind it is, in a word or two with hyphens, such as `day-or-weekday`."""
    message: str
    """What the schedule does, in a sentence."""
    hint: str = ""
    """What to write instead, where something else may be meant."""
    pipeline_ids: Sequence[str] = ()
    """The pipelines that it is about; a timetable leaves it to `agora schedule lint`."""
