"""Shows what happens in the demo, a line for each run, instead of the worker's log."""

import logging
from collections.abc import Callable
from time import monotonic

from agora_core.cli.printing import plain, say

_COLUMNS = ("consumed", "written", "filtered", "dead")
HEADING = f"  {'time':>6}  {'pipeline':<10}{'read':>8}{'written':>9}{'filtered':>10}{'dead':>6}"


class DemoView(logging.Handler):
    """Prints the events of the worker's log that a newcomer wants to see."""

    def __init__(
        self,
        *,
        on_start: Callable[[], object],
        on_broken: Callable[[], object],
        now: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__()
        self._on_start = on_start
        self._on_broken = on_broken
        self._now = now
        self._started = now()
        self.dead = 0
        """How many records died."""
        self.broken: OSError | None = None
        """Why nothing more can be printed."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the line of *record*'s event, if it has one."""
        line = self._line(record.getMessage(), vars(record))
        if line is None or self.broken is not None:
            return
        try:
            say(line)
        except OSError as error:  # raised again by the command when the worker has stopped: it must not break a run
            self.broken = error
            self._on_broken()

    def _line(self, event: str, about: dict[str, object]) -> str | None:
        if event == "worker started":
            self._started = self._now()
            self._on_start()
            return f"  health: {about['health_url']}/health\n\n{HEADING}"
        if event == "run finished":
            return self._counts(about)
        if event in ("run failed", "pipeline gave up", "run cut"):
            return self._at(about, f"{event}: {about.get('error') or about.get('reason')}")
        if event == "run is retried":
            return self._at(about, f"tried again in {about['in_seconds']}s")
        if event == "worker stopping":
            return f"  {self._time()}  stopping"
        return None

    def _counts(self, about: dict[str, object]) -> str:
        read, written, filtered, dead = (int(str(about.get(name, 0))) for name in _COLUMNS)
        self.dead += dead
        return self._at(about, f"{read:>8,}{written:>9,}{filtered:>10,}{dead:>6,}")

    def _at(self, about: dict[str, object], text: str) -> str:
        return f"  {self._time()}  {plain(str(about['pipeline_id'])):<10}{plain(text)}"

    def _time(self) -> str:
        return f"{self._now() - self._started:>5.1f}s"
