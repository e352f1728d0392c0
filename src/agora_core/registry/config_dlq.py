"""Reads `[dlq]`: the store of dead letters, and what is done to letters before it has them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import isroutine
from math import inf
from typing import Any

from agora_core.flow.delivery_config import DeliveryConfig, check_codec
from agora_core.flow.masking import mask, one_after_the_other
from agora_core.registry.catalogue import Kind
from agora_core.registry.config_parts import Part, PartReader
from agora_core.registry.config_reader import ConfigReader, shown
from agora_core.registry.explain import told_with_place
from agora_core.registry.references import imported
from agora_core.registry.toml_scan import KeyPath
from agora_core.spec.errors import ConfigError
from agora_core.spec.records import Record
from agora_core.spec.typed_values import RecordCodec

DEFAULT_STORE = "sqlite"
"""The store of dead letters, or of state, that is meant where a table does not name one."""
NO_STORE = "none"

LETTER_KEYS = ("record_types", "codecs", "redactor", "mask", "keep_resolved_days")
"""What a table `[dlq]` has beside a store and its options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterTerms:
    """What `[dlq]` says of the letters themselves."""

    record_types: tuple[type, ...] = ()
    codecs: tuple[RecordCodec, ...] = ()
    redactors: tuple[Callable[[Record], Record], ...] = ()
    keep_resolved_days: tuple[float | None, ...] = ()
    """One number, None for ever; empty where the table does not say."""

    def and_of(self, other: "LetterTerms") -> "LetterTerms":
        """Return these terms and those of the *other* table: what either masks is masked."""
        names = {codec.name for codec in other.codecs}
        return LetterTerms(
            record_types=tuple(dict.fromkeys((*self.record_types, *other.record_types))),
            codecs=(*(codec for codec in self.codecs if codec.name not in names), *other.codecs),
            redactors=(*self.redactors, *other.redactors),
            keep_resolved_days=other.keep_resolved_days or self.keep_resolved_days,
        )

    def options(self) -> dict[str, Any]:
        """Return the arguments of a `DeliveryConfig`."""
        redactor = one_after_the_other(self.redactors)
        keep = {"keep_resolved_days": self.keep_resolved_days[0]} if self.keep_resolved_days else {}
        return {"record_types": self.record_types, "codecs": self.codecs, "redactor": redactor, **keep}


@dataclass(frozen=True, slots=True, kw_only=True)
class DlqTable:
    """A table `[dlq]`: its store, None for none, and its terms."""

    store: Part | None
    terms: LetterTerms


def read_dlq(parts: PartReader, where: KeyPath, value: object, *, shared: DlqTable | None = None) -> DlqTable:
    """Return what the table *value* says, on top of what *shared* says for all pipelines.

    A table of terms alone means the shared store.
    """
    terms, rest = LetterTerms(), value
    if isinstance(value, dict):
        terms = _terms(parts.reader, where, {key: value[key] for key in LETTER_KEYS if key in value})
        rest = {key: written for key, written in value.items() if key not in LETTER_KEYS}
    terms = shared.terms.and_of(terms) if shared is not None else terms
    if shared is not None and value and not rest:
        return DlqTable(store=shared.store, terms=terms)
    return DlqTable(store=_store(parts, where, rest), terms=terms)


def _store(parts: PartReader, where: KeyPath, value: object) -> Part | None:
    if isinstance(value, dict) and value.get("store") == NO_STORE:
        parts.reader.known(where, value, ("store",))
        return None
    return parts.part(where, value, Kind.DEAD_LETTER_STORE, word="store", otherwise=DEFAULT_STORE)


def _terms(reader: ConfigReader, where: KeyPath, table: Mapping[str, object]) -> LetterTerms:
    """Return the terms in *table*, or tell what is wrong with them and return none."""
    before, whose = reader.count, f"{shown(where)}:"
    for key in ("record_types", "codecs", "mask"):
        if key in table and not isinstance(table[key], list):
            reader.wrong((*where, key), f"{whose} {key} must be a list, not {table[key]!r}")
    if reader.count > before:
        return LetterTerms()
    given: dict[str, Any] = reader.options(where, table, DeliveryConfig)
    if reader.count > before:
        return LetterTerms()
    types = tuple(_imported(reader, (*where, "record_types"), one) for one in given.get("record_types", ()))
    codecs: Any = tuple(
        reader.built((*where, "codecs"), whose, (), partial(_made, one)) for one in given.get("codecs", ())
    )
    masks = given.get("mask")
    masked = None if masks is None else reader.built((*where, "mask"), whose, (), lambda: mask(*masks))
    if reader.count > before:
        return LetterTerms()
    options: dict[str, Any] = {"record_types": types, "codecs": codecs, "redactor": given.get("redactor")}
    if "keep_resolved_days" in given:
        days = given["keep_resolved_days"]
        options["keep_resolved_days"] = None if days == inf else days  # TOML has no word for nothing
    checked = reader.built(where, whose, options, lambda: DeliveryConfig(**options))
    if checked is None:
        return LetterTerms()
    redactors = tuple(one for one in (checked.redactor, masked) if one is not None)
    keep = (checked.keep_resolved_days,) if "keep_resolved_days" in options else ()
    return LetterTerms(record_types=types, codecs=codecs, redactors=redactors, keep_resolved_days=keep)


def _imported(reader: ConfigReader, where: KeyPath, value: object) -> Any:
    """Return what *value* names, `module:Class`, or itself where it was imported already."""
    return reader.built(where, "", (), lambda: imported(value)) if isinstance(value, str) else value


def _made(value: Any) -> Any:
    """Return a codec: what the class or function *value* makes, or *value* itself; raise `ConfigError`."""
    made = value
    try:
        if isinstance(value, type) or isroutine(value):
            made = value()
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # the user's own code: whatever it raises is told with its place
        reason = told_with_place(error, value.__module__)
        raise ConfigError(f"the codec {value.__qualname__} cannot be made: {reason}") from error
    check_codec(made)
    return made
