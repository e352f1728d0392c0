"""`Cron`: the timetable of a cron expression in a time zone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from agora.plugins import ConfigError, Finding, Run, Zone
from agora_plugins.cron_changes import Changes
from agora_plugins.cron_explain import explain_none, explain_slot
from agora_plugins.cron_lint import findings
from agora_plugins.cron_local import ever_fires
from agora_plugins.cron_slots import slots_after
from agora_plugins.cron_text import CronSets, read_expression

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_OF_SLOTS = ("schedule", "caught_up")
"""The triggers of runs that are for a slot."""

_STEPPED = timedelta(hours=3)
"""A clock that was set back by more than this has jumped: what ran before says nothing about what is due."""


@dataclass(frozen=True, slots=True)
class Cron:
    """Start whenever *expression* fires in *timezone* (default: `AGORA_TIMEZONE`, else UTC), as Debian's cron would.

    *seconds* says that the expression has six fields, the first of which is seconds. *gap* and *fold* choose another
    rule for times that the clocks skip and repeat. `H` stands for a value made from *pipeline_id*, so that pipelines of
    one expression start at different times.
    """

    expression: str
    timezone: str | None = None
    seconds: bool = False
    gap: str = "vixie"
    fold: str = "vixie"
    pipeline_id: str = ""
    _sets: CronSets = field(init=False, repr=False, compare=False)
    _changes: Changes = field(init=False, repr=False, compare=False)
    _zone: Zone = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.seconds, bool):
            raise ConfigError(f"seconds must be true or false, not {self.seconds!r}")
        if not isinstance(self.pipeline_id, str):
            raise ConfigError(f"pipeline_id must be a text, not {self.pipeline_id!r}")
        sets = read_expression(self.expression, seconds=self.seconds, hash_id=self.pipeline_id)
        if not ever_fires(sets):
            raise ConfigError(f"cron expression {self.expression!r} never fires: no month that it names has such a day")
        zone, changes = Zone.named(self.timezone), Changes.of(sets, self.gap, self.fold)
        # The zone is kept by name, so that two equal schedules mean the same whatever the environment says later.
        for attribute, value in (("timezone", zone.name), ("_sets", sets), ("_changes", changes), ("_zone", zone)):
            object.__setattr__(self, attribute, value)

    @property
    def summary(self) -> str:
        """The schedule in words, such as `cron 0 2 * * * Europe/Berlin`."""
        words = ["cron", *self.expression.split()]
        words += [] if self.timezone == "UTC" else [str(self.timezone)]
        words += [f"{name}={word}" for name, word in (("gap", self.gap), ("fold", self.fold)) if word != "vixie"]
        return " ".join(words)

    @property
    def shared(self) -> bool:
        """Whether it is the same for every pipeline, as all are without an `H`."""
        return not self._sets.hashed

    def next_start(self, now: datetime, last: Run | None) -> datetime | None:
        """Return the first slot after *now*, in UTC, or None where the calendar ends.

        A run may have started, and ended, a moment before its own slot, since clocks are not exact: the slot of the
        *last* run is never given again. What a retry or a trigger ran is no slot, but the moment of it.
        """
        ran_early = last is not None and last.trigger in _OF_SLOTS and now < last.slot <= now + _STEPPED
        return next(self.slots(last.slot if last is not None and ran_early else now), None)

    def explain(self, moment: datetime) -> str:
        """Return why *moment* is a slot or none, where its local time does not show it: clocks that change, fields."""
        if self.next_start(moment - timedelta.resolution, None) == moment:
            return explain_slot(self._sets, self._changes, moment, self._zone.tz)
        return explain_none(self._sets, self._changes, moment, self._zone.tz)

    def lint(self, now: datetime) -> list[Finding]:
        """Return what in the expression is probably not meant, and what the next changes of the clocks do to it."""
        return list(findings(self.expression, self._sets, self._changes, self._zone, now))

    def slots(self, after: datetime) -> Iterator[datetime]:
        """Yield every slot strictly after *after*, in order, in UTC."""
        moment, at = _EPOCH, 0
        spans: dict[int, timedelta] = {}  # most slots of an expression lie a few spans apart, and adding one is cheap
        for second in slots_after(self._sets, self._zone, self._changes, (after - _EPOCH) // _SECOND):
            step = second - at
            if step not in spans:
                spans[step] = timedelta(seconds=step)
            moment, at = moment + spans[step], second
            yield moment
