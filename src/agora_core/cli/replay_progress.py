"""Shows on a terminal how far a replay is: a bar where rich is installed, else a line now and then."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from time import monotonic

from agora_core.cli.printing import complain
from agora_core.flow.replay_summary import ReplaySummary
from agora_core.spec.offers import late

Tell = Callable[[ReplaySummary], None]

_LINE_SECONDS = 2.0
_bar: Callable[..., AbstractContextManager[Tell]] = late("agora_core.cli.replay_bar:bar")


def progress(pipeline_id: str, total: int, *, quiet: bool) -> AbstractContextManager[Tell]:
    """Return a context whose value is to be told of each step of the replay of *total* letters."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return nullcontext(lambda summary: None)
    if find_spec("rich") is not None:
        return _bar(pipeline_id=pipeline_id, total=total)
    return _lines(pipeline_id, total)


@contextmanager
def _lines(pipeline_id: str, total: int) -> Iterator[Tell]:
    last = monotonic()

    def tell(summary: ReplaySummary) -> None:
        nonlocal last
        if monotonic() - last >= _LINE_SECONDS:
            last = monotonic()
            complain(f"{pipeline_id}: {summary.ended:,} of {total:,} dead letters")

    yield tell
