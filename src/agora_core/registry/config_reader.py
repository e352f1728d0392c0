"""Reads tables of a config strictly, and collects everything that is wrong with them, each with its file and line."""

from collections.abc import Callable, Collection, Iterable, Mapping
from operator import itemgetter
from typing import Any, TypeVar, get_origin

from agora_core.registry.option_types import read_as
from agora_core.registry.options import OptionFault, option_faults, parameters
from agora_core.registry.references import Secret, is_reference, resolved
from agora_core.registry.toml_file import TomlFile
from agora_core.registry.toml_scan import KeyPath
from agora_core.spec.errors import ConfigError, DeploymentError, did_you_mean

Settings = TypeVar("Settings")

_MOST_SHOWN = 20


_UNKNOWN = object()
"""Stands for a value that could not be had, which is told already."""


class ConfigReader:
    """One file's tables, and the problems found in them."""

    def __init__(self, file: TomlFile) -> None:
        self.file = file
        self._problems: list[tuple[int, str]] = []

    @property
    def count(self) -> int:
        """How many problems there are by now; more after a table was read than before means that it is of no use."""
        return len(self._problems)

    def wrong(self, where: KeyPath, sentence: str) -> None:
        """Keep *sentence* as a problem with what stands at *where*."""
        self._problems.append((self.file.line(where), sentence))

    def refuse(self) -> None:
        """Raise all problems at once in the order of their lines, if there are any."""
        path = self.file.path
        problems = [f"{path}:{line}: {sentence}" for line, sentence in sorted(self._problems, key=itemgetter(0))]
        if len(problems) > _MOST_SHOWN:
            raise DeploymentError([*problems[:_MOST_SHOWN], f"{path}: and {len(problems) - _MOST_SHOWN} more"])
        if problems:
            raise DeploymentError(problems)

    def table(self, where: KeyPath, value: object) -> dict[str, Any]:
        """Return *value* when it is a table, else tell and return an empty one."""
        if isinstance(value, dict):
            return value
        self.wrong(where, f"{shown(where)} must be a table, not {value!r:.100}")
        return {}

    def tables(self, where: KeyPath, value: object) -> list[tuple[KeyPath, dict[str, Any]]]:
        """Return each table of an array of tables, with its place."""
        if not isinstance(value, list):
            self.wrong(where, f"{shown(where)} must be an array of tables; write [{shown(where)}]")
            return []
        return [((*where, index), self.table((*where, index), one)) for index, one in enumerate(value)]

    def known(self, where: KeyPath, table: Iterable[str], names: Collection[str]) -> None:
        """Tell of each key of *table* that is none of *names*."""
        listed = ", ".join(names)
        for key in table:
            if key not in names:
                self.wrong((*where, key), f"{shown(where)}: no key {key!r}; known: {listed}{did_you_mean(key, names)}")

    def options(self, where: KeyPath, table: Mapping[str, object], build: Callable[..., object]) -> dict[str, object]:
        """Return *table* with its references followed, and with values of the types that *build* asks for."""
        taken = parameters(build) or {}
        options = {}
        for key, written in table.items():
            value = self._followed((*where, key), written)
            options[key] = _suited(value, taken[key].annotation) if key in taken else value
        return options

    def settings(self, where: KeyPath, table: Mapping[str, object], kind: Callable[..., Settings]) -> Settings | None:
        """Return *table* as a value of the class *kind*, or tell what is wrong with it and return None."""
        before = self.count
        options = self.options(where, table, kind)
        self.faults(where, f"{shown(where)}:", option_faults(kind, options, noun="key"))
        if self.count > before:
            return None
        return self.built(where, f"{shown(where)}:", options, lambda: kind(**options))

    def built(
        self, where: KeyPath, whose: str, options: Collection[str], build: Callable[[], Settings]
    ) -> Settings | None:
        """Return what *build* gives, or tell the `ConfigError` that it raises and return None."""
        try:
            return build()
        except ConfigError as error:
            sentence = str(error)
            culprit = next((name for name in options if name in sentence), None)
            self.wrong((*where, culprit) if culprit else where, f"{whose} {sentence}".strip())
            return None

    def faults(self, where: KeyPath, whose: str, faults: Iterable[OptionFault]) -> None:
        """Tell of each fault in the options of *whose*."""
        for fault in faults:
            self.wrong((*where, fault.name), f"{whose} {fault.text}")

    def _followed(self, where: KeyPath, value: object) -> object:
        if isinstance(value, Mapping) and is_reference(value):
            try:
                return resolved(value)
            except ConfigError as error:
                self.wrong(where, str(error))
                return _UNKNOWN
        if isinstance(value, dict):
            return {key: self._followed((*where, key), inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._followed((*where, index), inner) for index, inner in enumerate(value)]
        return value


def _suited(value: object, annotation: object) -> object:
    """Return *value* as the type that *annotation* asks for, where a file has no word for that type."""
    if isinstance(value, Secret):
        return read_as(value, annotation)
    if isinstance(value, list) and get_origin(annotation) is tuple:
        return tuple(value)
    return value


def shown(where: KeyPath) -> str:
    """Return the header of a table as it stands in the file."""
    words = [str(key) for key in where if isinstance(key, str)]
    text = ".".join(words)
    return f"[[{text}]]" if where and isinstance(where[-1], int) else f"[{text}]" if text else "the file"
