"""The progress bar of a replay on a terminal. Needs rich."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agora_core.cli.replay_progress import Tell
from agora_core.flow.replay_summary import ReplaySummary


@contextmanager
def bar(pipeline_id: str, total: int) -> Iterator[Tell]:
    """Show a bar while the replay of *total* letters goes on; nothing stays of it afterwards."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(pipeline_id, total=total)

        def tell(summary: ReplaySummary) -> None:
            shown.update(task, completed=summary.ended)

        yield tell
