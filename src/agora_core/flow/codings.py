"""Has codecs turn what is in dead letters, and has no other way into a store, into what stores can keep."""

from collections.abc import Sequence
from dataclasses import replace
from logging import getLogger

from agora_core.codec.coded import with_codecs
from agora_core.flow.failures import failure_of
from agora_core.spec.letters import DeadLetter, NoRecord
from agora_core.spec.records import Record
from agora_core.spec.typed_values import RecordCodec

log = getLogger("agora.flow")


class Codings:
    """The codecs of one pipeline at work. One that fails costs no letter: what it did not keep is only described."""

    def __init__(self, codecs: Sequence[RecordCodec], pipeline_id: str) -> None:
        self._codecs = tuple(_Watched(codec, pipeline_id) for codec in codecs)

    def letter(self, letter: DeadLetter) -> DeadLetter:
        """Return *letter* as a store can keep it: itself, where there is nothing in it for a codec."""
        record = self._coded(letter.record)
        if letter.origin is letter.record:
            origin = record
        else:
            origin = letter.origin if isinstance(letter.origin, NoRecord) else self._coded(letter.origin)
        if record is letter.record and origin is letter.origin:
            return letter
        return replace(letter, record=record, origin=origin)

    def _coded(self, record: Record) -> Record:
        try:
            return with_codecs(record, self._codecs)
        except (Exception, SystemExit):  # noqa: BLE001  # a plugin call, which is told already: the store describes the record
            return record


class _Watched:
    """A codec whose first failure in a run is told."""

    def __init__(self, codec: RecordCodec, pipeline_id: str) -> None:
        self.name = codec.name
        self._codec = codec
        self._pipeline_id = pipeline_id
        self._is_told = False

    def encode(self, value: Record, /) -> bytes | None:
        """Return what the codec makes of *value*."""
        try:
            return self._codec.encode(value)
        except (Exception, SystemExit) as error:
            self._tell(error)
            raise

    def decode(self, payload: bytes, /) -> Record:
        """Return the value that *payload* was made of."""
        try:
            return self._codec.decode(payload)
        except (Exception, SystemExit) as error:
            self._tell(error)
            raise

    def same(self, one: Record, other: Record, /) -> bool:
        """Return whether two values are the same."""
        try:
            return self._codec.same(one, other)
        except (Exception, SystemExit) as error:
            self._tell(error)
            raise

    def _tell(self, error: BaseException) -> None:
        if not self._is_told:
            self._is_told = True
            failure = failure_of(error)
            extra = {"pipeline_id": self._pipeline_id, "codec": self.name, "error": str(failure)}
            log.error("codec failed; such records are only described", extra={**extra, "where": failure.traceback})
