"""Reads `[pipelines.NAME]`: its parts, its schedule, its limits, and what happens to what fails."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.registry.catalogue import Catalogue, Kind
from agora_core.registry.config_dlq import DEFAULT_STORE, LETTER_KEYS, NO_STORE, DlqTable, LetterTerms, read_dlq
from agora_core.registry.config_parts import REMEDIES, ImportedPart, Part, PartReader
from agora_core.registry.config_reader import ConfigReader, shown
from agora_core.registry.config_retry import read_retry
from agora_core.registry.schedule_options import ScheduleOptions
from agora_core.registry.schedule_words import split
from agora_core.registry.settings import RetrySettings, RunSettings
from agora_core.registry.timetables import judge_schedule
from agora_core.registry.toml_scan import KeyPath
from agora_core.spec.errors import MissingPluginError, OfferError
from agora_core.spec.offers import Choice
from agora_core.spec.system_clock import SystemClock

_TABLES = ("source", "middlewares", "sinks", "schedule", "retry", "dlq", "delivery")
_RUN_KEYS = tuple(one.name for one in fields(RunSettings))
_ELSEWHERE = {"checkpoint": "[state]"} | dict.fromkeys(("dlq", *LETTER_KEYS), "[pipelines.NAME.dlq]")
"""What stands in a table of its own, though a `DeliveryConfig` has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a pipeline is built from."""

    source: Part
    middlewares: tuple[Part, ...]
    sinks: tuple[Part, ...]
    dlq: Part | None
    letters: LetterTerms
    state: Part | None
    delivery: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPipeline:
    """One `[pipelines.NAME]`, found to be right."""

    plan: Plan
    schedule: Choice
    retry: RetrySettings
    run: RunSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReader:
    """Reads the pipelines of one config, which share the stores that stand at its top."""

    parts: PartReader
    dlq: DlqTable
    state: Part | None

    @classmethod
    def of(cls, reader: ConfigReader, catalogue: Catalogue, data: Mapping[str, object]) -> "PlanReader":
        """Read the stores that all pipelines share."""
        parts = PartReader(reader=reader, catalogue=catalogue)
        dlq = read_dlq(parts, ("dlq",), data.get("dlq", {"store": DEFAULT_STORE}))
        return cls(parts=parts, dlq=dlq, state=_read_state(parts, data["state"]) if "state" in data else None)

    def pipeline(self, name: str, value: object) -> ReadPipeline | None:
        """Return the pipeline *name*, or tell everything that is wrong with it and return None."""
        reader, where = self.parts.reader, ("pipelines", name)
        table = reader.table(where, value)
        if not isinstance(value, dict):
            return None
        reader.known(where, table, (*_TABLES, *_RUN_KEYS))
        limits = {key: table[key] for key in _RUN_KEYS if key in table}
        run = reader.settings(where, limits, RunSettings)
        source = self._source(where, table)
        middlewares = self._many(where, table, "middlewares", Kind.MIDDLEWARE)
        sinks = self._many(where, table, "sinks", Kind.SINK)
        if "sinks" not in table or table["sinks"] == []:
            reader.wrong(where, f"{shown(where)} has no sink; add [[pipelines.{name}.sinks]]")
        retry = read_retry(self.parts, (*where, "retry"), table.get("retry", {}), name)
        schedule = self._schedule((*where, "schedule"), table.get("schedule", {"type": "once"}), name)
        delivery = self._delivery((*where, "delivery"), table.get("delivery", {}))
        dlq = read_dlq(self.parts, (*where, "dlq"), table["dlq"], shared=self.dlq) if "dlq" in table else self.dlq
        if source is None or schedule is None or retry is None or run is None:
            return None
        plan = Plan(
            source=source,
            middlewares=middlewares,
            sinks=sinks,
            dlq=dlq.store,
            letters=dlq.terms,
            state=self.state,
            delivery=delivery,
        )
        return ReadPipeline(plan=plan, schedule=schedule, retry=retry, run=run)

    def _source(self, where: KeyPath, table: Mapping[str, object]) -> Part | None:
        if "source" not in table:
            name = where[-1]
            self.parts.reader.wrong(where, f"{shown(where)} has no source; add [pipelines.{name}.source]")
            return None
        return self.parts.part((*where, "source"), table["source"], Kind.SOURCE)

    def _many(self, where: KeyPath, table: Mapping[str, object], key: str, kind: Kind) -> tuple[Part, ...]:
        rows = self.parts.reader.tables((*where, key), table.get(key, []))
        return tuple(part for place, row in rows if (part := self.parts.part(place, row, kind)) is not None)

    def _schedule(self, where: KeyPath, value: object, pipeline_id: str) -> Choice | None:
        reader = self.parts.reader
        own, general = split(value) if isinstance(value, dict) and "import" not in value else (value, {})
        options = self._general(where, general)
        if options is None:
            return None
        if isinstance(own, dict) and "import" not in own and self._is_missing(own):
            # Written and listed all the same: the worker refuses it when it is to run, with what mends it.
            written = {key: option for key, option in own.items() if key != "type"}
            return Choice(str(own["type"]), {**written, **options}, _remedy(own["type"]))
        part = self.parts.part(where, own, Kind.SCHEDULE_TYPE)
        if part is None:
            return None
        if isinstance(part, ImportedPart):
            if isinstance(part.found, Choice):
                return part.found
            reader.wrong(where, f"{part.target!r} is not a Schedule")
            return None
        choice = Choice(part.choice.name, {**part.choice.options, **options}, part.choice.remedy)
        return reader.built(where, "", choice.options, lambda: self._judged(choice, pipeline_id))

    def _general(self, where: KeyPath, written: Mapping[str, object]) -> dict[str, object] | None:
        """Return the options that every schedule has, or tell what is wrong with them and return None."""
        if not written:
            return {}
        read = self.parts.reader.settings(where, written, ScheduleOptions)
        return None if read is None else {name: getattr(read, name) for name in written}

    def _judged(self, choice: Choice, pipeline_id: str) -> Choice:
        """Return *choice*, or raise what is wrong with it; a calendar that is missing is told at use."""
        try:
            judge_schedule(
                catalogue=self.parts.catalogue, schedule=choice, clock=SystemClock(), pipeline_id=pipeline_id
            )
        except MissingPluginError:
            return choice
        return choice

    def _is_missing(self, table: Mapping[str, object]) -> bool:
        """Whether the plugin of the schedule type that *table* names is not there; any other fault is told later."""
        chosen = table.get("type")
        if not isinstance(chosen, str):
            return False
        try:
            self.parts.catalogue.builder(Kind.SCHEDULE_TYPE, Choice(chosen, remedy=_remedy(chosen)))
        except MissingPluginError:
            return True
        except OfferError:
            return False
        return False

    def _delivery(self, where: KeyPath, value: object) -> dict[str, Any]:
        reader = self.parts.reader
        table = reader.table(where, value)
        for key in _ELSEWHERE.keys() & table.keys():
            word = "write it as" if key in ("dlq", "checkpoint") else "it stands in"
            reader.wrong((*where, key), f"{shown(where)}: no key {key!r}; {word} {_ELSEWHERE[key]}")
        options = {key: option for key, option in table.items() if key not in _ELSEWHERE}
        config = reader.settings(where, options, DeliveryConfig)
        return {} if config is None else {key: getattr(config, key) for key in options}


def _read_state(parts: PartReader, value: object) -> Part | None:
    if isinstance(value, dict) and value.get("store") == NO_STORE:
        parts.reader.known(("state",), value, ("store",))
        return None
    return parts.part(("state",), value, Kind.STATE_STORE, word="store", otherwise=DEFAULT_STORE)


def _remedy(name: object) -> str:
    return REMEDIES.get((Kind.SCHEDULE_TYPE, name), "") if isinstance(name, str) else ""
