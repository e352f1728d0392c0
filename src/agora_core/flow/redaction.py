"""Takes the secrets out of dead letters, by the pipeline's redactor: out of records, and of errors that quote them."""

from collections.abc import Callable
from dataclasses import replace
from inspect import isawaitable, iscoroutine
from logging import getLogger
from typing import NamedTuple

from agora_core.codec.description import type_name
from agora_core.flow.failures import failure_of
from agora_core.flow.quoting import all_values, taken, unquoted
from agora_core.spec.letters import UNKNOWN, DeadLetter, Failure, Fidelity, NoRecord
from agora_core.spec.records import Record

log = getLogger("agora.flow")

_REASON = 300


class _Redacted(NamedTuple):
    """A record without its secrets."""

    record: Record
    fidelity: Fidelity
    """`exact` where nothing was taken, `lossy` where something was, `opaque` where the redactor failed."""
    values: set[str] | None
    """What errors may not quote; None where that cannot be told."""


class Redaction:
    """The redactor of one pipeline at work. Where it fails, nothing of the record is kept but its type."""

    def __init__(self, redactor: Callable[[Record], Record], pipeline_id: str) -> None:
        self._redactor = redactor
        self._pipeline_id = pipeline_id
        self._is_told = False
        """Whether the log knows that it fails."""

    def letter(self, letter: DeadLetter) -> DeadLetter:
        """Return *letter* as it may be kept and told: itself, where there is nothing secret in it."""
        own = self._redacted(letter.record)
        if letter.origin is letter.record or isinstance(letter.origin, NoRecord):
            first = own._replace(record=UNKNOWN if isinstance(letter.origin, NoRecord) else own.record)
        else:
            first = self._redacted(letter.origin)
        if own.fidelity is first.fidelity is Fidelity.EXACT:
            return letter
        fidelity, origin = own.fidelity, first.record
        if first.fidelity is Fidelity.OPAQUE or (own.fidelity is Fidelity.OPAQUE and first.fidelity is Fidelity.LOSSY):
            origin = UNKNOWN  # a letter's fidelity speaks of both, and an origin beside a description is exact
        elif first.fidelity is Fidelity.LOSSY:
            fidelity = Fidelity.LOSSY
        return replace(
            letter, record=own.record, origin=origin, fidelity=fidelity, error=unquoted(letter.error, _all(own, first))
        )

    def failure(self, failure: Failure, *records: Record) -> Failure:
        """Return *failure* without what is taken out of *records*, of which it may quote something."""
        redacted = [self._redacted(record) for record in records if not isinstance(record, NoRecord)]
        return unquoted(failure, _all(*redacted))

    def _redacted(self, record: Record) -> _Redacted:
        try:
            left = self._redactor(record)
            if isawaitable(left):
                if iscoroutine(left):
                    left.close()
                raise TypeError("it is async; a redactor is a plain function")
            if left is record:
                return _Redacted(record, Fidelity.EXACT, set())
            if left is None:
                raise TypeError("it returned None in place of a record")
            return _Redacted(left, Fidelity.LOSSY, _values(lambda: taken(record, left)))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the user's own function, which must not cost the letter
            return self._failed(record, error)

    def _failed(self, record: Record, error: BaseException) -> _Redacted:
        values = _values(lambda: all_values(record))
        failure = unquoted(failure_of(error), values)
        if not self._is_told:
            self._is_told = True
            extra = {"pipeline_id": self._pipeline_id, "error": str(failure), "where": failure.traceback}
            log.error("redactor failed; of such records only the type is kept", extra=extra)
        reason = f"the redactor failed: {str(failure)[:_REASON]}"
        return _Redacted({"opaque": reason, "type": type_name(record), "value": None}, Fidelity.OPAQUE, values)


def _values(look: Callable[[], set[str]]) -> set[str] | None:
    try:
        return look()
    except Exception:  # noqa: BLE001  # more than can be looked for, or an object of the user's that cannot be looked at
        return None


def _all(*redacted: _Redacted) -> set[str] | None:
    values: set[str] = set()
    for one in redacted:
        if one.values is None:
            return None
        values |= one.values
    return values
