"""`python -m agora_core.runner.isolated FD PID`: a worker, whose id is PID, starts it and is at the other end of FD."""

import asyncio
import os
import socket
import sys
from io import TextIOWrapper

from agora_core.runner.isolated.adoption import follow_worker
from agora_core.runner.isolated.line import Line
from agora_core.runner.isolated.program import Program


def main() -> None:
    """Serve the worker until it says goodbye or is gone."""
    descriptor, worker_pid = map(int, sys.argv[1:])
    follow_worker(worker_pid)
    os.set_inheritable(descriptor, False)  # the programs that the user's code starts have no part in it
    if isinstance(sys.stdout, TextIOWrapper):  # None where the worker has none
        sys.stdout.reconfigure(line_buffering=True)  # a line that was printed is not lost with a process that is killed
    line = Line(socket.socket(fileno=descriptor))
    asyncio.run(_serve(line))


async def _serve(line: Line) -> None:
    await Program(line).serve()


if __name__ == "__main__":
    main()
