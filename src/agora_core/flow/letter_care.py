"""What is done to dead letters before a store has them: their secrets are masked, what has no other way in is coded."""

from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

from agora_core.flow.context import LoopShare
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.governor import Governor
from agora_core.flow.redaction import Redaction
from agora_core.spec.letters import DeadLetter, Failure
from agora_core.spec.offers import late
from agora_core.spec.records import Record
from agora_core.spec.typed_values import RecordCodec

_new_codings = late("agora_core.flow.codings:Codings")


class Cared(NamedTuple):
    """Letters as they may be seen."""

    kept: Sequence[DeadLetter]
    """As a store gets them."""
    told: Sequence[DeadLetter]
    """As everybody else gets them."""


class LetterCare:
    """The redactor and the codecs of one pipeline; *codecs* are those of the plugins."""

    def __init__(
        self,
        config: DeliveryConfig,
        *,
        pipeline_id: str,
        codecs: Sequence[RecordCodec] = (),
        governor: LoopShare | None = None,
    ) -> None:
        own = config.codecs_with(codecs)
        self._codings = _new_codings(codecs=own, pipeline_id=pipeline_id) if own else None
        self._redaction = Redaction(config.redactor, pipeline_id) if config.redactor is not None else None
        self._governor = governor

    @property
    def is_secret(self) -> bool:
        """Whether there is a redactor, without which errors may be told as they are."""
        return self._redaction is not None

    async def of(self, letters: Sequence[DeadLetter]) -> Cared:
        """Return *letters* as they may be seen; lets others have their turn meanwhile, since records may be big."""
        if self._redaction is None and self._codings is None:
            return Cared(letters, letters)
        governor = self._governor or Governor()
        told, kept = [], []
        for letter in letters:
            if governor.is_over(perf_counter()):
                await governor.turn()
            told.append(letter if self._redaction is None else self._redaction.letter(letter))
            kept.append(told[-1] if self._codings is None else self._codings.letter(told[-1]))
        return Cared(kept, told)

    def failure(self, failure: Failure, *records: Record) -> Failure:
        """Return *failure* without what it quotes of the secrets of *records*."""
        return failure if self._redaction is None else self._redaction.failure(failure, *records)
