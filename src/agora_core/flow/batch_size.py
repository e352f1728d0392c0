"""How many records make a batch: few while a pipeline is slow or unknown, many while it is quick."""

BATCH_SECONDS = 0.25
"""A batch should not take longer record by record, so that a stop or a sink never waits long for its end."""


class BatchSize:
    """Grows from 1 by doubling up to *most*; shrinks when the stages take long."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = 1

    def learn(self, count: int, seconds: float) -> None:
        """Take into account that *count* records took *seconds* where they go one by one."""
        projected = seconds / count * self.now
        if projected * 2 <= BATCH_SECONDS:
            self.now = min(self.now * 2, self.most)
        elif projected > BATCH_SECONDS:
            self.now = max(1, int(BATCH_SECONDS / seconds * count))
