"""A function of the user's that repairs records before they are replayed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import Parameter, isawaitable, signature
from typing import Any, Self

from agora_core.flow.copies import copied
from agora_core.flow.failures import failure_of
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import DeadLetter, Failure, NoRecord
from agora_core.spec.records import Record

_PLACES = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_LETTER = "letter"
_MOST = 2


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a transform made of a record."""

    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """Calls *function* with a record, or with a record and its letter; *name* is what errors call it."""

    function: Callable[..., Any]
    name: str
    takes_letter: Parameter | None
    """Where it takes the letter, if it does."""

    @classmethod
    def of(cls, function: object, name: str) -> Self:
        """Return *function* as a transform; raise `ConfigError` when it cannot be called with a record."""
        if not callable(function):
            raise ConfigError(f"the transform {name} must be a function of one record, not {function!r:.200}")
        return cls(function=function, name=name, takes_letter=_takes_letter(function, name))

    async def apply(self, record: Record, letter: DeadLetter) -> Repaired | Failure:
        """Return what the function makes of a copy of *record*, or why it made nothing."""
        given = copied(record)
        # What has no copy is given itself, as to the stages of a replay.
        given = record if isinstance(given, NoRecord) else given
        try:
            made = self._called(given, letter)
            if isawaitable(made):
                made = await made
            if made is None:
                raise TypeError(
                    "it returned None in place of a record; agora dlq discard drops letters that nobody needs"
                )
        except Exception as exc:  # noqa: BLE001  # a border: the user's own function, whose failure is the letter's
            failure = failure_of(exc)
            return replace(failure, message=f"in the transform {self.name}: {failure.message}")
        return Repaired(made)

    def _called(self, record: Record, letter: DeadLetter) -> object:
        if self.takes_letter is None:
            return self.function(record)
        by_name = self.takes_letter.kind is Parameter.KEYWORD_ONLY
        return self.function(record, letter=letter) if by_name else self.function(record, letter)


def _takes_letter(function: Callable[..., Any], name: str) -> Parameter | None:
    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return None  # written in C, such as `dict`
    places = [each for each in parameters if each.kind in _PLACES]
    needed = [each for each in places if each.default is Parameter.empty]
    keywords = [each for each in parameters if each.kind is Parameter.KEYWORD_ONLY]
    others = [each for each in keywords if each.default is Parameter.empty and each.name != _LETTER]
    takes_any = any(each.kind is Parameter.VAR_POSITIONAL for each in parameters)
    by_name = next((each for each in keywords if each.name == _LETTER), None)
    most = _MOST if by_name is None else _MOST - 1
    if len(needed) > most or others or not (places or takes_any):
        raise ConfigError(
            f"the transform {name} takes {signature(function)}; it is called with (record) or with (record, letter)"
        )
    if by_name is not None:
        return by_name
    is_second = len(needed) == _MOST or (len(places) > 1 and places[1].name == _LETTER)
    return places[1] if is_second else None
