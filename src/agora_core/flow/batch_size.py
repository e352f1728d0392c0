"""How many records make a batch: few while a pipeline is slow or unknown, many while it is quick."""

from collections.abc import Sequence

from agora_core.flow.weight import weight_of
from agora_core.spec.records import Record

BATCH_SECONDS = 0.25
"""A batch should not take longer record by record, so that a stop or a sink never waits long for its end."""

_WEIGHED_EVERY = 16


class BatchSize:
    """Grows from 1 by doubling up to *most* records of *most_bytes* in all; shrinks when the stages take long."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self.now = 1
        """How many records to gather."""
        self.most = most
        """How many to hand on at once where more are there."""
        self.affordable = most_bytes
        """How many records of the weight that was seen last take up no more memory than a batch may."""
        self._wanted = most
        self._most_bytes = most_bytes
        self._unweighed = 0
        self._is_weighed = False

    def learn(self, count: int, seconds: float) -> None:
        """Take into account that *count* records took *seconds* where they go one by one."""
        projected = seconds / count * self.now
        if projected * 2 <= BATCH_SECONDS:
            self.now = min(self.now * 2, self.most)
        elif projected > BATCH_SECONDS:
            self.now = max(1, int(BATCH_SECONDS / seconds * count))

    def weigh_first(self, records: Sequence[Record]) -> None:
        """Weigh one of *records*, a list that the source made as long as it liked, if none was weighed before."""
        if not self._is_weighed and records:
            self.weigh(records[0])

    def weigh(self, sample: Record) -> None:
        """Take into account how much memory a record takes up; *sample* is one of a batch, looked at now and then."""
        # Each is weighed while the batches grow, so that they never grow too heavy.
        if self.now == self.most == self._wanted and self._unweighed < _WEIGHED_EVERY:
            self._unweighed += 1
            return
        self._unweighed = 0
        self._is_weighed = True
        self.affordable = max(1, self._most_bytes // weight_of(sample))
        self.most = min(self._wanted, self.affordable)
        self.now = min(self.now, self.most)
