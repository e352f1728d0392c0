"""Fan-out: every record to every sink, where it counts once."""

from collections.abc import Sequence
from itertools import islice

from agora_core.flow.casualties import Casualties
from agora_core.flow.keys import KeyAt
from agora_core.flow.outlet import Outlet
from agora_core.flow.passage import Passage
from agora_core.spec.letters import SINK_WRITE


class Delivery:
    """The sinks of one run."""

    def __init__(self, outlets: Sequence[Outlet]) -> None:
        self.outlets = tuple(outlets)
        self.flushes = any(outlet.flushes for outlet in outlets)
        """Whether any sink acknowledges by `flush` only."""
        self.commits_at_close = any(outlet.commits_at_close for outlet in outlets)
        """Whether what any sink was given counts only once it is closed."""
        self.seconds_one_by_one = 0.0
        """What the last batch took in the sinks that take one record at a time."""

    async def write(self, passed: Passage, dead: Casualties, key_at: KeyAt) -> int:
        """Write to each sink in turn; return how many records all of them took. Refused ones go to *dead*.

        *key_at* gives the key of the record at a place of the batch, for sinks that ask for it.
        """
        values, reached, died_before = passed.values, len(passed.values), len(dead.by_place)
        places: Sequence[int] = ()
        self.seconds_one_by_one = 0.0
        for outlet in self.outlets:

            def refuse(index: int, error: Exception, name: str = outlet.name) -> bool:
                nonlocal places
                places = places or passed.places
                intact = passed.is_intact(index)
                return dead.add(places[index], SINK_WRITE, values[index], error, sink=name, is_intact=intact)

            keys = [key_at(place) for place in passed.places] if outlet.takes_keys else ()
            tried = await outlet.write(values, refuse, keys)
            self.seconds_one_by_one += outlet.seconds_one_by_one
            if tried < len(values):  # more were refused than may die; the sinks behind this one get nothing
                reached = tried if outlet is self.outlets[-1] else 0
                break
        if len(dead.by_place) == died_before:
            return reached
        return sum(place not in dead.by_place for place in islice(places, reached))

    async def flush(self) -> None:
        """Have every sink acknowledge what it was given."""
        for outlet in self.outlets:
            await outlet.flush()
