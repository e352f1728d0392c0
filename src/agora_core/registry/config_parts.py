"""Parts as a config names them: by the name of an offer, or by where they can be imported from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import isroutine
from typing import Any, NamedTuple

from agora_core.flow.checks import check_concurrency, check_ordered
from agora_core.registry.catalogue import AMBIENT, BESIDE, Catalogue, Kind
from agora_core.registry.config_reader import ConfigReader, shown
from agora_core.registry.options import option_faults, parameters
from agora_core.registry.references import imported
from agora_core.registry.toml_scan import KeyPath
from agora_core.spec.errors import ConfigError
from agora_core.spec.offers import Choice

REMEDIES = {
    (kind, name): f"pip install 'agora-etl-plugins[{name}]'"
    for kind, name in (
        (Kind.SCHEDULE_TYPE, "cron"),
        (Kind.SCHEDULE_TYPE, "rrule"),
        (Kind.SCHEDULE_TYPE, "solar"),
        (Kind.CALENDAR, "ics"),
        (Kind.DEAD_LETTER_STORE, "postgres"),
        (Kind.DEAD_LETTER_STORE, "redis"),
    )
}
"""What brings the offers that Agora's own plugins make, for those who have not installed any."""


class Crowd(NamedTuple):
    """How many records may be in a stage at a time, and whether they keep their order, where the config says so."""

    concurrency: int | None = None
    ordered: bool | None = None


_OWN_CROWD = Crowd()
"""As the part itself has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedPart:
    """A part that the catalogue builds; *name*, if any, is the name of its stage."""

    kind: Kind
    choice: Choice
    name: str = ""
    crowd: Crowd = _OWN_CROWD

    def build(self, catalogue: Catalogue, pipeline_id: str) -> object:
        """Build it anew."""
        return _named(catalogue.build(self.kind, self.choice, pipeline_id=pipeline_id), self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedPart:
    """A part of the user's own: *found* is called with the *options* when it is a class or a function."""

    target: str
    found: Any
    options: Mapping[str, object] = field(default_factory=dict)
    name: str = ""
    crowd: Crowd = _OWN_CROWD

    def build(self, catalogue: Catalogue, pipeline_id: str) -> object:
        """Build it anew, or return the object itself."""
        if not _is_factory(self.found):
            return _named(self.found, self.name)
        given = {"pipeline_id": pipeline_id} if "pipeline_id" in (parameters(self.found) or {}) else {}
        return _named(self.found(**{**given, **self.options}), self.name)


Part = OfferedPart | ImportedPart


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReader:
    """Reads the parts of one config; *plugins* offer those that are named."""

    reader: ConfigReader
    catalogue: Catalogue

    def part(
        self, where: KeyPath, value: object, kind: Kind, *, word: str = "type", otherwise: str | None = None
    ) -> Part | None:
        """Return the part that the table *value* names after *word* or `import`, or tell why there is none.

        *otherwise* is the name of the part that is meant where the table has no *word*.
        """
        table = dict(self.reader.table(where, value))
        if not isinstance(value, dict):
            return None
        name, crowd = self._stage_name(where, table, kind), self._crowd(where, table, kind)
        if "import" in table:
            part: Part | None = self._imported(where, table, kind, name)
            return part and replace(part, crowd=crowd)
        chosen = table.pop(word, otherwise)
        if not isinstance(chosen, str) or not chosen:
            known = ", ".join(one.offer.name for one in self.catalogue.offers(kind))
            what = f"{word} must be text, not {chosen!r}" if chosen is not None else f"{word} is missing"
            self.reader.wrong((*where, word), f"{shown(where)}: {what}; known: {known}, or import")
            return None
        part = self.offered(where, kind, chosen, table, name)
        return part and replace(part, crowd=crowd)

    def offered(
        self, where: KeyPath, kind: Kind, chosen: str, table: Mapping[str, object], name: str = "", *, beside: Any = ()
    ) -> OfferedPart | None:
        """Return the part that the catalogue offers as *chosen*, with the options of *table*, or tell what is wrong."""
        reader = self.reader
        choice = Choice(chosen, table, REMEDIES.get((kind, chosen), ""))
        build = reader.built(where, "", (), lambda: self.catalogue.builder(kind, choice))
        if build is None:
            return None
        if name and "name" in (parameters(build) or {}):
            table, name = {**table, "name": name}, ""
        before = reader.count
        options = reader.options(where, _unwrapped(table, build), build)
        given, beside = AMBIENT.get(kind, ("pipeline_id",)), beside or BESIDE.get(kind, ())
        reader.faults(where, f"{kind} {chosen!r}:", option_faults(build, options, given=given, beside=beside))
        if reader.count > before:
            return None
        return OfferedPart(kind=kind, choice=Choice(chosen, options, choice.remedy), name=name)

    def _imported(self, where: KeyPath, table: dict[str, object], kind: Kind, name: str) -> ImportedPart | None:
        reader, target = self.reader, table.pop("import")
        if not isinstance(target, str):
            reader.wrong((*where, "import"), f'import must be "module:attribute", not {target!r}')
            return None
        found = reader.built((*where, "import"), "", (), lambda: imported(target))
        if found is None:
            return None
        if not _is_factory(found):
            for key in table:
                reader.wrong((*where, key), f"{target!r} is an object, not a class or a function: it takes no {key!r}")
            return ImportedPart(target=target, found=found, name=name)
        build: Callable[..., object] = found  # type: ignore[assignment]  # _is_factory says so
        before = reader.count
        options = reader.options(where, _unwrapped(table, build), build)
        for fault in option_faults(build, options, given=("pipeline_id",)):
            hint = _step_hint(target, fault.name, options) if kind is Kind.MIDDLEWARE else ""
            reader.wrong((*where, fault.name), f"{target!r}: {fault.text}{hint}")
        if reader.count > before:
            return None
        return ImportedPart(target=target, found=found, options=options, name=name)

    def _stage_name(self, where: KeyPath, table: dict[str, object], kind: Kind) -> str:
        """Take the name of a stage out of *table*."""
        if kind is not Kind.MIDDLEWARE or "name" not in table:
            return ""
        name = table.pop("name")
        if isinstance(name, str) and name:
            return name
        self.reader.wrong((*where, "name"), f"{shown(where)}: name must be text, not {name!r}")
        return ""

    def _crowd(self, where: KeyPath, table: dict[str, object], kind: Kind) -> Crowd:
        """Take out of *table* how many records may be in the stage."""
        if kind is not Kind.MIDDLEWARE:
            return Crowd()
        built = self.reader.built
        given: dict[str, Any] = {}
        for key, check in (("concurrency", check_concurrency), ("ordered", check_ordered)):
            if key in table:
                given[key] = built((*where, key), f"{shown(where)}:", (), partial(check, table.pop(key)))
        return Crowd(**given)


def _unwrapped(table: Mapping[str, object], build: Callable[..., object]) -> Mapping[str, object]:
    """Return *table* with what stands in its `options`: there a part's own `type` or `import` has room."""
    inner = table.get("options")
    if not isinstance(inner, dict) or "options" in (parameters(build) or {}):
        return table
    return {**{key: value for key, value in table.items() if key != "options"}, **inner}


def _is_factory(found: object) -> bool:
    return isinstance(found, type | partial) or isroutine(found)


def _named(part: object, name: str) -> object:
    if name:
        try:
            part.name = name  # type: ignore[attr-defined]  # duck typing: a part may have a name
        except AttributeError:
            raise ConfigError(f"a {type(part).__name__} cannot be given the name {name!r}") from None
    return part


def _step_hint(target: str, missing: str, options: Mapping[str, object]) -> str:
    """Return a hint for a function of one record that stands where a middleware's builder should."""
    if missing in options:
        return ""
    return f'; for a function of one record write type = "map", function = {{ import = "{target}" }}'
