"""`Recurrence`: the timetable of a recurrence rule of RFC 5545."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from agora.plugins import Run
from agora_plugins.rrule_text import Rule, read_rule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Start when *rule* says: an RRULE, after a DTSTART on a line of its own if it has one, as in RFC 5545.

    A DTSTART without a zone is by the clock of *timezone*, and without DTSTART a rule counts from Monday, 1 January
    2001, 00:00. A time that the clocks skip comes as far behind the gap as it is in it. Of times that they repeat, the
    first pass counts, and both where the rule is hourly or finer.
    """

    rule: str
    timezone: str | None = None
    _rule: Rule = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rule = read_rule(self.rule, self.timezone)
        for name, value in (("timezone", rule.zone.name), ("_rule", rule)):
            object.__setattr__(self, name, value)

    @property
    def summary(self) -> str:
        """The schedule in words: its rule and its zone."""
        return " ".join(["rrule", *self.rule.split(), *([] if self.timezone == "UTC" else [str(self.timezone)])])

    def next_start(self, now: datetime, last: Run | None) -> datetime | None:
        """Return the first slot after *now*, in UTC, or None where the rule has ended."""
        best: datetime | None = None
        enough: datetime | None = None
        # Where the offset changes, local times may come in another order than their moments.
        for local in self._rule.times_from(self._shown(now) - self._spread(now)):
            if enough is not None and local > enough:
                break
            for moment in self._moments(local):
                if moment > now and (best is None or moment < best):
                    best = moment
                    enough = self._shown(best) + self._spread(best)
        return None if best is None or (self._rule.until is not None and best > self._rule.until) else best

    def _moments(self, local: datetime) -> list[datetime]:
        """Return the moments at which the clock shows *local*, in the passes that count."""
        folds = (0, 1) if self._rule.in_both_passes else (0,)
        return [local.replace(tzinfo=self._rule.zone.tz, fold=fold).astimezone(UTC) for fold in folds]

    def _shown(self, moment: datetime) -> datetime:
        return moment.astimezone(self._rule.zone.tz).replace(tzinfo=None)

    def _spread(self, moment: datetime) -> timedelta:
        """Return by how much the offsets around *moment* differ."""
        second = (moment - _EPOCH) // _SECOND
        offsets = [self._rule.zone.offset(second + days * _DAY) for days in (-1, 0, 1)]
        return (max(offsets) - min(offsets)) * _SECOND
