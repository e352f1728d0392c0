"""The power cuts that a trace can be cut off by."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from .disks import Disk
from .losses import Image, by_chance, worst
from .promises import History
from .traces import Kind, Operation

WALKS = 12
"""How often a trace is gone through to find images that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A power cut: after which operation, what it left, and what had been promised until then."""

    after: int
    image: Image
    history: History


def cuts(
    done: Sequence[Operation], before: Path, history: Callable[[], History], chance: Random, *, at_least: int
) -> Iterator[Cut]:
    """Return *at_least* so many power cuts that differ in what is left or promised, or all that can be found."""
    seen: set[tuple[bytes, int]] = set()
    for walk in range(1, WALKS + 1):
        # Cuts that were met before are not counted again, so that each walk has to try harder.
        many = walk * (at_least - len(seen)) / len(done)
        for cut in _walk(done, before, history(), chance, many=many):
            key = cut.image.digest(), cut.history.promises
            if key not in seen:
                seen.add(key)
                yield cut
        if len(seen) >= at_least:
            return


def _walk(done: Sequence[Operation], before: Path, history: History, chance: Random, *, many: float) -> Iterator[Cut]:
    """Go through the trace once, with about *many* cuts after each operation, and one after each promise."""
    disk = Disk(before)
    for after, operation in enumerate(done, 1):
        disk.replay(operation)
        if operation.kind is Kind.NOTE and history.heed(json.loads(operation.payload)):
            yield Cut(after=after, image=worst(disk, chance), history=history)
        for _ in range(int(many) + (chance.random() < many % 1)):
            yield Cut(after=after, image=by_chance(disk, chance), history=history)
