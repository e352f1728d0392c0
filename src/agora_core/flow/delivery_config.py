"""How a pipeline delivers: batches, time-outs, and what becomes of records that fail."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from math import isfinite

from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.letters import DlqStore
from agora_core.spec.records import Record
from agora_core.spec.state import StateStore
from agora_core.spec.typed_values import RecordCodec

_LONGEST_NAME = 100
_MOST_DAYS = 36_525
"""A century."""

ON_BATCH_ERROR = ("auto", "bisect", "dlq_all", "fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryConfig:
    """How `Pipeline.build` delivers records; everything has a default.

    The stores are opened and closed by the run, and may be shared by several pipelines.
    """

    batch_size: int = 256
    """The most records that are handled at once."""
    batch_bytes: int = 16 * 1024 * 1024
    """The most memory that a batch should take up, as estimated; of big records fewer are handled at once."""
    flush_interval_seconds: float = 1.0
    """How long written records may wait for the sink's `flush` and for the checkpoint."""
    dlq: DlqStore | None = None
    """Keeps the records that fail; without one the first failing record fails the run."""
    checkpoint: StateStore | None = None
    """Keeps the source's position, so that the next run goes on where this one ended."""
    max_dead_per_run: int | None = None
    """The run fails at the record that would be one dead letter more than this."""
    max_dead_ratio: float | None = None
    """The run fails when more than this part of its records died; judged from a hundred records on."""
    write_timeout_seconds: float = 300.0
    """How long one write or flush of a sink, or one write to a store, may take before the run fails."""
    close_timeout_seconds: float = 10.0
    """How long each part may take to close."""
    on_batch_error: str = "auto"
    """When `write_batch` raises without saying which records: `bisect`, `dlq_all`, `fail` or `auto`.

    `auto` bisects where the sink claims to be `atomic` or `idempotent`, else the whole batch becomes dead letters.
    """
    dead_letter_on: tuple[type[Exception], ...] = ()
    """Errors of a sink that mean the record even where they would fail the run, such as ConnectionError."""
    snapshot: bool = False
    """Whether each record is copied before the first middleware, so that dead letters have the source's record."""
    record_types: tuple[type, ...] = ()
    """Classes of which a replay may make records again, beside those that the pipeline's own code names."""
    codecs: tuple[RecordCodec, ...] = ()
    """They keep values in dead letters that have no other way into a store; before those of the plugins."""
    redactor: Callable[[Record], Record] | None = None
    """Returns a record without its secrets, such as `agora.mask("password")`; dead letters are kept as it leaves them.

    It must not change what it is given: it returns the same object where there is no secret, else a copy.
    """

    keep_resolved_days: float | None = 30.0
    """How long a worker keeps dead letters that were replayed or discarded; None for ever. Others never expire."""

    def __post_init__(self) -> None:
        _check_whole("batch_size", self.batch_size, least=1)
        _check_whole("batch_bytes", self.batch_bytes, least=1)
        if self.max_dead_per_run is not None:
            _check_whole("max_dead_per_run", self.max_dead_per_run, least=0)
        _check_number("flush_interval_seconds", self.flush_interval_seconds, zero=True)
        _check_number("write_timeout_seconds", self.write_timeout_seconds)
        _check_number("close_timeout_seconds", self.close_timeout_seconds)
        if self.max_dead_ratio is not None:
            _check_number("max_dead_ratio", self.max_dead_ratio, zero=True, most=1)
        if self.keep_resolved_days is not None:
            _check_number("keep_resolved_days", self.keep_resolved_days, zero=True, most=_MOST_DAYS)
        self._check_choices()
        _check_store("dlq", self.dlq, method="put", example="SqliteDlq('dead.db')")
        _check_store("checkpoint", self.checkpoint, method="save_checkpoint", example="SqliteState('state.db')")
        self._check_care()

    def _check_choices(self) -> None:
        if self.on_batch_error not in ON_BATCH_ERROR:
            known = ", ".join(ON_BATCH_ERROR)
            hint = did_you_mean(str(self.on_batch_error), ON_BATCH_ERROR)
            raise ConfigError(f"on_batch_error cannot be {self.on_batch_error!r}; known: {known}{hint}")
        if not isinstance(self.snapshot, bool):
            raise ConfigError(f"snapshot must be True or False, not {self.snapshot!r}")
        kinds = self.dead_letter_on
        if not isinstance(kinds, tuple) or not all(isinstance(k, type) and issubclass(k, Exception) for k in kinds):
            raise ConfigError(f"dead_letter_on must be a tuple of exception classes, not {kinds!r}")

    def codecs_with(self, others: Iterable[RecordCodec]) -> tuple[RecordCodec, ...]:
        """Return the codecs, and those of the *others* that have other names."""
        own = {codec.name for codec in self.codecs}
        return (*self.codecs, *(codec for codec in others if codec.name not in own))

    def _check_care(self) -> None:
        kinds = self.record_types
        if not isinstance(kinds, tuple) or not all(isinstance(kind, type) for kind in kinds):
            raise ConfigError(f"record_types must be a tuple of classes, such as (Order,), not {kinds!r}")
        if not isinstance(self.codecs, tuple):
            raise ConfigError(f"codecs must be a tuple of codecs, such as (MyCodec(),), not {self.codecs!r}")
        for codec in self.codecs:
            check_codec(codec)
        names = [codec.name for codec in self.codecs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"two codecs have the name {twice!r}, by which what they kept is found again")
        if self.redactor is not None and not callable(self.redactor):
            raise ConfigError(f"redactor must be a function of one record, not {self.redactor!r}")
        if iscoroutinefunction(self.redactor):
            raise ConfigError("redactor must be a plain function of one record; it is async")


def check_codec(codec: object) -> None:
    """Refuse what cannot keep values in dead letters."""
    if isinstance(codec, type):
        raise ConfigError(f"a codec was given as the class {codec.__name__}; make one of it: {codec.__name__}()")
    name = getattr(codec, "name", None)
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
        raise ConfigError(
            f"a codec needs a name of 1 to {_LONGEST_NAME} characters, such as 'arrow/1'; {codec!r} has {name!r}"
        )
    for method in ("encode", "decode", "same"):
        if not callable(getattr(codec, method, None)):
            raise ConfigError(f"the codec {name!r} has no method {method}()")


def _check_whole(name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} must be a whole number of at least {least}, not {value!r}")


def _check_number(name: str, value: object, *, zero: bool = False, most: float | None = None) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if number and (value > 0 or (zero and value == 0)) and (most is None or value <= most):  # type: ignore[operator]  # it is a number here
        return
    lowest = "at least 0" if zero else "above 0"
    highest = "" if most is None else f" and at most {most}"
    raise ConfigError(f"{name} must be a number {lowest}{highest}, not {value!r}")


def _check_store(name: str, value: object, *, method: str, example: str) -> None:
    if isinstance(value, type):
        raise ConfigError(f"{name} was given the class {value.__name__}; make one of it, such as {example}")
    if value is not None and not callable(getattr(value, method, None)):
        raise ConfigError(f"{name} must be a store such as {example}, not {value!r}")
