"""What a worker and the processes of its pipelines tell each other: values alone, as JSON, never a record."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from agora_core.runner.isolated.places import Place
from agora_core.spec.letters import UNKNOWN, DeadLetter, Failure, LetterTally
from agora_core.spec.runs import RunSummary

HEADER_BYTES = 4
"""Before each message stands how many bytes it has, big-endian."""
MOST_BYTES = 16 * 1024 * 1024
MOST_TEXT = 64 * 1024
"""The most characters of a text that somebody else wrote."""
MOST_INT = 2**63
"""Whole numbers from here on do not fit into a message."""


class Message(Struct, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """Anything that is told."""


class Hello(Message, frozen=True, kw_only=True):
    """The first message to a process: how to be like its worker."""

    sys_path: list[str]
    argv: list[str]
    log_levels: dict[str, int]
    """By the names of loggers; that of the root is empty."""
    tells_letters: bool
    """Whether anybody listens to the news of each dead letter."""


class Order(Message, frozen=True, kw_only=True):
    """Run a pipeline once."""

    pipeline_id: str
    run_id: str
    attempt: int
    max_records: int | None
    place: Place
    watches_letters: bool
    """Whether to look after its dead-letter store: the worker itself can only where it can build the store."""


class Stop(Message, frozen=True, kw_only=True):
    """End at the next batch boundary: where the pipeline can go on from there, or in any case if it *must*."""

    must: bool


class Cancel(Message, frozen=True, kw_only=True):
    """Cancel the run."""


class Bye(Message, frozen=True, kw_only=True):
    """There is nothing more to do."""


class Taken(Message, frozen=True, kw_only=True):
    """The order has arrived; the user's code may run from now on."""


class Began(Message, frozen=True, kw_only=True):
    """The pipeline is built, and runs."""

    is_counted: bool
    has_letters: bool
    keeps_resolved: timedelta | None


class Counted(Message, frozen=True, kw_only=True):
    """The records so far."""

    counts: RunSummary


class Logged(Message, frozen=True, kw_only=True):
    """A line for the log."""

    name: str
    level: int
    text: str
    created: float
    extra: dict[str, object]
    exception: str = ""


class Died(Message, frozen=True, kw_only=True):
    """A record became a dead letter, and is kept; its record stays where it is."""

    uid: str
    stage: str
    sink: str
    error: Failure
    first_failed_at: datetime
    last_failed_at: datetime

    @classmethod
    def of(cls, letter: DeadLetter) -> "Died":
        """Return what is told of *letter*."""
        return cls(
            uid=letter.uid,
            stage=letter.stage,
            sink=letter.sink,
            error=letter.error,
            first_failed_at=letter.first_failed_at,
            last_failed_at=letter.last_failed_at,
        )

    def letter(self, order: Order) -> DeadLetter:
        """Return the letter as far as it was told."""
        return DeadLetter(
            uid=self.uid,
            pipeline_id=order.pipeline_id,
            run_id=order.run_id,
            stage=self.stage,
            sink=self.sink,
            record=UNKNOWN,
            error=self.error,
            first_failed_at=self.first_failed_at,
            last_failed_at=self.last_failed_at,
        )


class LettersKnown(Message, frozen=True, kw_only=True):
    """What the store of a pipeline holds by now."""

    pipeline_id: str
    counts: Mapping[str, int]
    oldest: datetime | None
    tallies: tuple[LetterTally, ...] | None
    troubles: tuple[str, ...]


class Purged(Message, frozen=True, kw_only=True):
    """So many resolved dead letters of a pipeline were deleted."""

    pipeline_id: str
    count: int


class Closing(Message, frozen=True, kw_only=True):
    """The run is cancelled, and closes its parts."""


class Ended(Message, frozen=True, kw_only=True):
    """The run ended well, or early because it was asked to."""

    summary: RunSummary


class Failed(Message, frozen=True, kw_only=True):
    """The run failed."""

    kind: str
    """The name of its class."""
    module: str
    known_as: str
    """The nearest of the errors that Agora raises on purpose; empty for another one."""
    message: str
    traceback: str
    counts: RunSummary | None


class Cancelled(Message, frozen=True, kw_only=True):
    """The run was cancelled, as it was told to be."""

    counts: RunSummary | None


ToChild = Hello | Order | Stop | Cancel | Bye
ToWorker = Taken | Began | Counted | Logged | Died | LettersKnown | Purged | Closing | Ended | Failed | Cancelled
End = Ended | Failed | Cancelled

_encoder = Encoder()
_to_child: Decoder[ToChild] = Decoder(ToChild)
_to_worker: Decoder[ToWorker] = Decoder(ToWorker)


def packed(message: Message) -> bytes:
    """Return *message* behind its length."""
    body = _encoder.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def body_length(header: bytes) -> int:
    """Return how many bytes follow *header*; raise `ValueError` when it cannot be true."""
    length = int.from_bytes(header, "big")
    if length > MOST_BYTES:
        raise ValueError(f"a message of {length} bytes")
    return length


def read_by_child(body: bytes) -> ToChild:
    """Return the message in *body*; raise `ValueError` when it is none."""
    return _to_child.decode(body)


def read_by_worker(body: bytes) -> ToWorker:
    """Return the message in *body*; raise `ValueError` when it is none."""
    return _to_worker.decode(body)


def sendable(text: str, most: int = MOST_TEXT) -> str:
    """Return *text* as JSON can hold it: bounded, and without what no encoding has."""
    cut = text if len(text) <= most else f"{text[:most]}…"
    return cut.encode("utf-8", "backslashreplace").decode("utf-8")
