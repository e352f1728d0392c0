"""A process that runs pipelines, as its worker sees it: started, given orders, listened to, ended or killed."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any

from agora_core.runner.isolated.adoption import SIGNALS
from agora_core.runner.isolated.messages import (
    HEADER_BYTES,
    Bye,
    Cancel,
    Cancelled,
    Closing,
    End,
    Ended,
    Failed,
    Hello,
    LettersKnown,
    Logged,
    Message,
    Order,
    Purged,
    Taken,
    ToWorker,
    body_length,
    packed,
    read_by_worker,
)
from agora_core.runner.isolated.standing import standing
from agora_core.runner.threads import start_thread
from agora_core.spec.errors import RunError

_MODULE = "agora_core.runner.isolated"

_BEGIN_SECONDS = 60
"""How long a new process may take to take its order: where there is nothing else to do, it takes half a second."""

_HEED_SECONDS = 10
"""How long one may take that has run before: longer means that what is left of the user's code blocks it."""

_DEAF_SECONDS = 2.0
"""How long a process may take to hear that its run is cancelled: longer means that the user's code blocks it."""

_CLOSING_SECONDS = 30.0
"""How long a run that has heard it may take to close its parts."""

_REAP_SECONDS = 5.0
"""How long the system may take to end a process that was killed."""

_DRAIN_SECONDS = 1.0
"""How long what a dead process has said may take to arrive; somebody else may hold its socket open."""

Hear = Callable[[ToWorker], None]


class NotTakenError(RunError):
    """The process died before it had the order, or never took it: nothing of the user's has run."""


class Child:
    """One process. Start it with `start`; it carries out one order at a time."""

    def __init__(self, process: "subprocess.Popen[bytes]", context: Context, hear: Hear) -> None:
        loop = asyncio.get_running_loop()
        self.pid = process.pid
        self.gone = asyncio.Event()
        """Set when the process has ended."""
        self._process = process
        self._context = context
        self._hear = hear
        self._writer: asyncio.StreamWriter | None = None
        self._end: asyncio.Future[End] | None = None
        self._hear_of_run: Hear = hear
        self._taken: asyncio.Future[None] = loop.create_future()
        self._most_seconds = _BEGIN_SECONDS
        self._overdue = ""
        """Why it was killed that took no order."""
        self._is_killed = False
        self._is_closing = asyncio.Event()
        self._exited: asyncio.Future[int] = loop.create_future()
        self._living: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, hello: Hello, context: Context, hear: Hear) -> "Child":
        """Start a process and greet it; *hear* is given what it says between runs too, in *context*."""
        here, there = socket.socketpair()
        with there:
            try:
                child = cls(_started(there.fileno()), context, hear)
            except OSError as error:
                here.close()
                raise RunError(f"no process could be started for the run: {error}") from error
        child._wait_for_exit()
        try:
            reader, child._writer = await asyncio.open_connection(sock=here)
        except BaseException:
            here.close()
            child.kill()
            raise
        child._living = asyncio.get_running_loop().create_task(
            child._live(reader), name=f"agora process {child.pid}", context=context
        )
        child.tell(hello)
        return child

    @property
    def is_alive(self) -> bool:
        """Whether it can be given an order, as far as is known."""
        return not (self._exited.done() or self._is_killed)

    def tell(self, message: Message) -> None:
        """Tell the process; one that is gone is not told."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(packed(message))

    async def carry_out(self, order: Order, hear: Hear, ordered: Callable[[], None]) -> End:
        """Have *order* carried out, and return how it ended; *hear* is given what is told of the run.

        *ordered* is called when the order is on its way: what the process is told from then on comes behind it.

        Raises `RunError` when the process died over it, or was killed because it took no order. Cancelled, it has the
        run cancelled, and kills the process where that takes too long.
        """
        loop = asyncio.get_running_loop()
        end = self._end = loop.create_future()
        self._hear_of_run, self._taken = hear, loop.create_future()
        self._is_closing.clear()
        self.tell(order)
        ordered()
        try:
            if self.gone.is_set():
                self._lost()
            await self._see_it_taken(end)
            return await asyncio.shield(end)
        except asyncio.CancelledError:
            await self._cancel(end)
            raise
        finally:
            if not end.done() or end.cancelled() or end.exception() is not None:
                self.kill()  # whatever it does now, nobody waits for it
            self._end = None

    def kill(self) -> None:
        """End the process at once."""
        self._is_killed = True
        with suppress(ProcessLookupError):
            self._process.kill()

    async def end(self, seconds: float) -> None:
        """Let the process end by itself within *seconds*, then kill it."""
        self.tell(Bye())
        if not await _happens(self.gone, seconds):
            self.kill()
            await _happens(self.gone, _REAP_SECONDS)

    async def _see_it_taken(self, end: "asyncio.Future[End]") -> None:
        """Return when the order is taken, or *end* says why not: a process that takes none is killed."""
        either: set[asyncio.Future[Any]] = {end, self._taken}
        for _ in range(self._most_seconds):  # each by itself: however long this worker is stopped, it counts as one
            await asyncio.wait(either, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            if end.done() or self._taken.done():
                self._most_seconds = _HEED_SECONDS
                return
        where = standing(self.pid)
        self._overdue = f"the process of the run ({self.pid}) took no order within {self._most_seconds} s"
        self._overdue += f": {where}" if where else ""
        self.kill()
        if not await _happens(self.gone, _REAP_SECONDS) and not end.done():
            end.set_exception(RunError(f"{self._overdue}; it cannot be killed"))

    async def _cancel(self, end: "asyncio.Future[End]") -> None:
        """Have the run cancelled; cancelled once more, have it over."""
        self.tell(Cancel())
        heard = asyncio.ensure_future(self._is_closing.wait())
        either: set[asyncio.Future[Any]] = {end, heard}
        try:
            await asyncio.wait(either, timeout=_DEAF_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if heard.done():
                await asyncio.wait({end}, timeout=_CLOSING_SECONDS)
        finally:
            heard.cancel()
            if not end.done():
                self.kill()
        if not end.done():
            await _happens(self.gone, _REAP_SECONDS)

    async def _live(self, reader: asyncio.StreamReader) -> None:
        """Hear the process until it is gone."""
        hearing = asyncio.ensure_future(self._hear_all(reader))
        either: set[asyncio.Future[Any]] = {hearing, self._exited}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if hearing.done():
            # It says no more, and so it ends; or something of it was no message.
            await asyncio.wait({self._exited}, timeout=_DRAIN_SECONDS)
            self.kill()
            await self._exited
        else:
            await asyncio.wait({hearing}, timeout=_DRAIN_SECONDS)
        hearing.cancel()
        if self._writer is not None:
            self._writer.close()
        self.gone.set()
        self._lost()

    async def _hear_all(self, reader: asyncio.StreamReader) -> None:
        with suppress(asyncio.IncompleteReadError, OSError, ValueError):  # it is gone, or says what is no message
            while True:
                header = await reader.readexactly(HEADER_BYTES)
                self._take(read_by_worker(await reader.readexactly(body_length(header))))

    def _take(self, message: ToWorker) -> None:
        match message:
            case Taken():
                if not self._taken.done():
                    self._taken.set_result(None)
            case Closing():
                self._is_closing.set()
            case Logged() | LettersKnown() | Purged():
                self._hear(message)
            case Ended() | Failed() | Cancelled():
                self._hear_of_run(message)
                if self._end is not None and not self._end.done():
                    self._end.set_result(message)
            case _:
                self._hear_of_run(message)

    def _lost(self) -> None:
        if self._end is not None and not self._end.done():
            why = self._overdue or _how_it_died(self.pid, self._exited.result())
            self._end.set_exception(RunError(why) if self._taken.done() else NotTakenError(why))

    def _wait_for_exit(self) -> None:
        loop = asyncio.get_running_loop()

        def wait() -> None:
            code = self._process.wait()
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._has_exited, code)

        start_thread(f"waits for process {self.pid}", wait)

    def _has_exited(self, code: int) -> None:
        if not self._exited.done():
            self._exited.set_result(code)


def _started(descriptor: int) -> "subprocess.Popen[bytes]":
    """Start the program; until it has handlers, signals that are the worker's alone wait."""
    if not sys.executable:
        raise OSError("this Python does not know its own program (sys.executable is empty)")
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing has them too
    safe_path = [] if "-P" in flags or "-I" in flags else ["-P"]
    command = [sys.executable, *flags, *safe_path, "-m", _MODULE, str(descriptor), str(os.getpid())]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[descriptor])  # noqa: S603  # it is our own program
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _how_it_died(pid: int, code: int) -> str:
    if code >= 0:
        return f"the process of the run ({pid}) ended before the run did, with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = {"SIGKILL": "; somebody killed it, or the system did for want of memory"}.get(name, "")
    if name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"):
        why = "; code in C crashed"
    return f"the process of the run ({pid}) was killed by {name}{why}"


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Return whether *event* is set within *seconds*."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
