"""How the log looks to people on a terminal; apart, since what draws it takes longer to import than all else."""

from collections.abc import Callable
from typing import Any

from structlog.dev import ConsoleRenderer, plain_traceback

from agora_core.cli.printing import plain


def console(*, colors: bool) -> Callable[[dict[str, Any]], str]:
    """Return what renders an event as a line for people, in *colors* if they are wanted."""
    renderer = ConsoleRenderer(
        colors=colors, sort_keys=False, pad_event_to=24, timestamp_key="time", exception_formatter=plain_traceback
    )

    def rendered(event: dict[str, Any]) -> str:
        """Escape what could break the line or steer the terminal; tracebacks and stacks alone keep their lines."""
        return renderer(None, "", {plain(key): _escaped(value, key) for key, value in event.items()})

    return rendered


def _escaped(value: object, key: str) -> object:
    if key in ("exception", "stack"):
        return "\n".join(map(plain, str(value).splitlines()))
    return plain(value) if isinstance(value, str) else value
