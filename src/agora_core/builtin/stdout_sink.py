"""Writes records to standard output as lines of JSON."""

import os
import sys
from collections.abc import Sequence

from agora_core.builtin.json_text import json_lines
from agora_core.builtin.own_thread import OwnThread
from agora_core.spec.errors import PartialWriteError, RunError
from agora_core.spec.records import Record


class StdoutSink:
    """Writes a line of JSON for each record. A reader that goes away, such as `head`, ends the run in a sentence."""

    def __init__(self) -> None:
        self._thread = OwnThread("agora-stdout")

    async def write_batch(self, records: Sequence[Record]) -> None:
        """Write a line for each record; raise `PartialWriteError` for those that have no JSON."""
        lines, failed = json_lines(records)
        await self._thread.call(_print, lines)
        if failed:
            raise PartialWriteError(failed)

    def close(self) -> None:
        """Let go of the thread; standard output stays open."""
        self._thread.end()

    def __repr__(self) -> str:
        return "StdoutSink()"


def _print(lines: bytes) -> None:
    # Looked up at each call, since programs and tests put their own in its place.
    output = sys.stdout
    if output is None:
        raise RunError("there is no standard output to write to; write to a file with JsonlSink(path)")
    try:
        binary = getattr(output, "buffer", None)
        output.flush()
        if binary is None:
            output.write(lines.decode())
        else:
            binary.write(lines)
        output.flush()
    except BrokenPipeError as exc:
        _lead_nowhere()
        raise RunError("standard output was closed by its reader; what was not read is not written") from exc
    except (OSError, ValueError) as exc:
        raise RunError(f"cannot write to standard output: {exc}") from exc


def _lead_nowhere() -> None:
    """Point standard output at nothing: Python flushes it at exit, which would fail once more, with a traceback."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    finally:
        os.close(nowhere)
