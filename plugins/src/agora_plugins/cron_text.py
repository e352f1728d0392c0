"""Cron expressions: from text to sets of values, which croniter works out field by field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from croniter import croniter  # type: ignore[import-untyped]  # it ships no types

from agora.plugins import ConfigError, did_you_mean
from agora_plugins.cron_fields import DAY, FIELDS, Field, gated

LAST_WEEK = 0
"""Stands in `CronSets.weeks` for the last one of the month, beside the weeks 1 to 5."""

_LONGEST = 256
_SHOWN = 60
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CronSets:
    """What an expression names: the values of its fields, and what only its text tells."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: int
    """The days of the month, as are the months and the weekdays (0 is Sunday): bit n is set where n counts."""
    last_day: bool
    """Whether the last day of each month counts, beside *days*."""
    months: int
    weekdays: int
    weeks: Mapping[int, frozenset[int]]
    """Where the field has `FRI#2` or `L5`: the weeks of the month that count, by weekday; else empty."""
    both_days: bool
    """Whether a day must match both day fields, as when either begins with `*`; else one of them."""
    wildcard: bool
    """Whether the minute or the hour begins with `*`: then it is no fixed time, and follows the clock as it is."""
    hashed: bool
    """Whether a value in it was made from the id that it was read for."""


_WORDS = re.compile(r"\S+", re.ASCII)
_HASHED = re.compile(r"h(\(.*|/.*)?", re.ASCII)


def read_expression(text: object, *, seconds: bool, hash_id: str) -> CronSets:
    """Return what *text* names, or raise `ConfigError` with what is wrong in it; *hash_id* is what `H` hashes."""
    written = _checked(text)
    words = _split(written, seconds=seconds)
    try:
        words = [gated(one, word) for one, word in zip(FIELDS, words, strict=True)]
        values, weeks = _expand(words, hash_id)
    except ConfigError as error:
        raise ConfigError(f"cron expression {_shown(written)}: {error}") from error.__cause__
    second, minute, hour, day, month, weekday = (_values(one, values[one.number]) for one in FIELDS)
    return CronSets(
        seconds=second,
        minutes=minute,
        hours=hour,
        days=_bits(day),
        last_day="l" in values[DAY.number],
        months=_bits(month),
        weekdays=_bits(weekday),
        weeks={one: frozenset(LAST_WEEK if week == "l" else int(week) for week in weeks[one]) for one in weeks},
        both_days=words[3].startswith("*") or words[5].startswith("*"),
        wildcard=words[1].startswith("*") or words[2].startswith("*"),
        hashed=_are_hashed(words),
    )


def _checked(text: object) -> str:
    """Return *text* when it may be shown to a parser at all."""
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"a cron expression is a text such as '0 */6 * * *', not {text!r:.80}")
    if len(text) > _LONGEST:
        raise ConfigError(f"cron expression {_shown(text)} has {len(text)} characters, more than {_LONGEST}")
    if not text.isascii():
        strange = next(letter for letter in text if not letter.isascii())
        raise ConfigError(f"cron expression {_shown(text)}: {strange!r} is no ASCII character")
    return text


def _split(text: str, *, seconds: bool) -> list[str]:
    """Return the six fields of *text* in lower case, the seconds first."""
    word = text.strip().lower()
    if word.startswith("@"):
        if word not in _ALIASES:
            known = ", ".join(sorted(_ALIASES))
            raise ConfigError(f"no cron alias {_shown(word)}; known: {known}{did_you_mean(word, _ALIASES)}")
        return ["0", *_ALIASES[word].split()]
    words = _WORDS.findall(word)
    if len(words) != (6 if seconds else 5):
        raise ConfigError(f"cron expression {_shown(text)} {_miscounted(len(words), seconds=seconds)}")
    return words if seconds else ["0", *words]


def _miscounted(count: int, *, seconds: bool) -> str:
    fields = f"has {count} field{'' if count == 1 else 's'}"
    if seconds:
        return f"{fields}; with seconds=True it needs 6: second minute hour day month weekday"
    if count == 6:
        return f"{fields}, not 5; if the first is meant as seconds, say seconds=True"
    return f"{fields}, not 5: minute hour day month weekday"


_Expanded = tuple[list[list[int | str]], Mapping[int, set[int | str]]]


def _expand(words: list[str], hash_id: str) -> _Expanded:
    """Return croniter's value sets of the fields *words*, and the weeks of its weekdays."""
    try:
        return _croniter_expand(words, hash_id)
    except ValueError as error:
        for index, (one, word) in enumerate(zip(FIELDS, words, strict=True)):
            alone = ["*"] * index + [word] + ["*"] * (len(words) - index - 1)
            try:
                _croniter_expand(alone, hash_id)
            except ValueError as reason:
                raise ConfigError(f"the {one.name} {word!r} cannot be read; it takes {one.takes}") from reason
        raise ConfigError(f"it cannot be read: {error}") from error


def _croniter_expand(words: list[str], hash_id: str) -> _Expanded:
    # With an id croniter reads even the aliases otherwise, so it gets one only where there is something to hash.
    identity = hash_id.encode(errors="surrogatepass") if _are_hashed(words) else None
    expanded: _Expanded = croniter.expand(" ".join(words), hash_id=identity, second_at_beginning=True)
    return expanded


def _are_hashed(words: list[str]) -> bool:
    return any(_HASHED.fullmatch(word) for word in words)


def _values(one: Field, values: list[int | str]) -> tuple[int, ...]:
    """Return croniter's *values* as numbers in order; its `*` stands for all, its `l` is told apart."""
    if "*" in values:
        return one.every
    return tuple(sorted(value for value in values if isinstance(value, int)))


def _bits(values: tuple[int, ...]) -> int:
    return sum(1 << value for value in values)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
