"""Counts every record of a run, and asserts that none appeared or vanished."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from agora_core.spec.errors import ConservationError
from agora_core.spec.runs import RunSummary, StageCounts


class Ledger:
    """The records of one run by where they are. Each count comes from the length of a list, once per batch."""

    def __init__(self) -> None:
        self.consumed = 0
        self.written = 0
        self.filtered = 0
        self.dead = 0
        self.in_hand = 0
        """Read, and not yet through the pipeline."""
        self.unflushed = 0
        """Written, and not yet acknowledged by the sinks' `flush`."""
        self.unkept = 0
        """Died, and not yet durable in the dead-letter store."""
        self.letters = 0
        """Dead letters that are durable, of those that died."""
        self.filtered_at: Counter[str] = Counter()
        """What each stage has filtered out, of batches that are on their way too."""
        self.died_at: Counter[str] = Counter()
        """What died, by the stage."""

    @property
    def in_flight(self) -> int:
        """How many records have not come to their end."""
        return self.in_hand + self.unflushed + self.unkept

    @property
    def ended(self) -> int:
        """How many records are through the pipeline."""
        return self.unflushed + self.unkept + self.written + self.filtered + self.dead

    def read(self, count: int) -> None:
        """Count records that came from the source."""
        self.consumed += count
        self.in_hand += count

    def done(self, *, delivered: int, filtered: int, dead: int) -> None:
        """Count what became of records in hand; *delivered* and *dead* ones wait for their acknowledgement."""
        self.in_hand -= delivered + filtered + dead
        self.unflushed += delivered
        self.filtered += filtered
        self.unkept += dead
        self.check()

    def kept(self, count: int, *, letters: int) -> None:
        """Count records as dead whose *letters* are durable; what follows in the run checks it."""
        self.unkept -= count
        self.dead += count
        self.letters += letters

    def acknowledge(self) -> None:
        """Count everything that was delivered as written."""
        self.written += self.unflushed
        self.unflushed = 0

    def batch_done(self) -> None:
        """Assert that every record in hand came to an end."""
        if self.in_hand:
            raise ConservationError(f"a batch ended with {self.in_hand} records in hand: {self._told()}")

    def check(self) -> None:
        """Assert that every record is somewhere."""
        counted = self.written + self.filtered + self.dead + self.in_flight
        if counted != self.consumed or self.in_hand < 0 or self.unkept < 0:
            raise ConservationError(f"records appeared or vanished: {self._told()}")

    def assert_conserved(self, *, ended_well: bool) -> None:
        """Assert that every record is somewhere, and after a run that *ended_well* that none is in flight."""
        self.check()
        if ended_well and self.in_flight:
            raise ConservationError(f"a run ended with records in flight: {self._told()}")

    def summary(self, *, seconds: float, stopped_early: bool, waiting: int) -> RunSummary:
        """Return the counts as a value; *waiting* records were read, and nothing was done with them yet."""
        return RunSummary(
            consumed=self.consumed + waiting,
            written=self.written,
            filtered=self.filtered,
            dead=self.dead,
            in_flight=self.in_flight + waiting,
            letters=self.letters,
            elapsed=timedelta(seconds=seconds),
            stopped_early=stopped_early,
            stages=self._stages(),
        )

    def _stages(self) -> Mapping[str, StageCounts]:
        names = dict.fromkeys((*self.filtered_at, *self.died_at))
        counts = {name: StageCounts(filtered=self.filtered_at[name], dead=self.died_at[name]) for name in names}
        return {name: count for name, count in counts.items() if count.filtered or count.dead}

    def _told(self) -> str:
        parts = f"{self.written} written, {self.filtered} filtered, {self.dead} dead, {self.in_flight} in flight"
        return f"{self.consumed} read, {parts}"
