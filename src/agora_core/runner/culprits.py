"""Finds where code stands: the line that blocks the loop, and the one at which a task waits."""

import asyncio
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from traceback import StackSummary, format_list, walk_stack
from types import CodeType, FrameType
from typing import Any

from agora_core.runner.abandoning import awaited_by

_NOT_USERS = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {str(Path(__file__).parents[1])}
    | {"<frozen"}
)
"""Where code is that is not the user's own."""

_MOST_FRAMES = 1_000


def where(frames: list[FrameType]) -> str:
    """Return `file:line` of the innermost of *frames* (outermost first) that is the user's own, else of the last."""
    for frame in reversed(frames):
        if not frame.f_code.co_filename.startswith(_NOT_USERS):
            return _place(frame)
    return _place(frames[-1]) if frames else ""


def where_task_waits(task: asyncio.Task[Any]) -> str:
    """Return `file:line` of the user's line at which *task* waits, or an empty string."""
    frames: list[FrameType] = []
    waiting: Any = task
    while isinstance(waiting, asyncio.Task) and len(frames) < _MOST_FRAMES:
        frames += _awaited(waiting.get_coro())
        waiting = awaited_by(waiting)  # another task, maybe
    return where(frames)


def frames_of(thread_id: int) -> list[FrameType]:
    """Return the stack of a thread, outermost first."""
    innermost = sys._current_frames().get(thread_id)  # there is no other way, and it is documented
    return [] if innermost is None else [frame for frame, _ in walk_stack(innermost)][::-1]


def text_of(frames: list[FrameType]) -> str:
    """Return *frames* as a traceback shows them."""
    return "".join(format_list(StackSummary.extract((frame, frame.f_lineno) for frame in frames)))


def local_of(frames: list[FrameType], code: CodeType, name: str) -> object:
    """Return the local variable *name* of the innermost frame that runs *code*, or None."""
    for frame in reversed(frames):
        if frame.f_code is code:
            return frame.f_locals.get(name)
    return None


def _awaited(waiting: Any) -> Iterator[FrameType]:
    """Yield the frames of a suspended coroutine and of those that it awaits, outermost first."""
    while waiting is not None:
        frame = (
            getattr(waiting, "cr_frame", None)
            or getattr(waiting, "ag_frame", None)
            or getattr(waiting, "gi_frame", None)
        )
        if frame is not None:
            yield frame
        waiting = (
            getattr(waiting, "cr_await", None)
            or getattr(waiting, "ag_await", None)
            or getattr(waiting, "gi_yieldfrom", None)
        )


def _place(frame: FrameType) -> str:
    path = frame.f_code.co_filename
    with suppress(ValueError, OSError):  # what is not below the current directory is shown in full
        path = str(Path(path).relative_to(Path.cwd()))
    return f"{path}:{frame.f_lineno}"
