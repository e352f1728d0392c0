"""Gives fields other names: `steps.rename(magnitude="mag")`."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from agora_core.builtin.step_records import (
    MOST_INLINE,
    Missing,
    checked_fields,
    checked_name,
    checked_word,
    copied,
    no_field,
)
from agora_core.spec.errors import ConfigError
from agora_core.spec.inline import Inline
from agora_core.spec.records import Context, Record

Existing = Literal["error", "replace"]

_GONE = object()


class Rename:
    """Gives *fields* their new names, all at once: two fields can swap theirs.

    A field that the record does not have is an error or, by *missing*, left alone; a new name that the record has
    already is an error too or, by *existing*, replaced.
    """

    def __init__(
        self,
        fields: Mapping[str, str],
        *,
        missing: Missing = "error",
        existing: Existing = "error",
        name: str = "rename",
    ) -> None:
        given = checked_fields(fields, "rename", '{ magnitude = "mag" }')
        checked_word("missing", missing, ("error", "ignore"), _hint("missing"))
        checked_word("existing", existing, ("error", "replace"), _hint("existing"))
        self._names = {old: checked_name(new, "rename") for old, new in given.items()}
        taken: dict[str, str] = {}
        for old, new in self._names.items():
            if old == new:
                raise ConfigError(f"fields of rename: {old!r} has that name already")
            if new in taken:
                raise ConfigError(f"fields of rename: {taken[new]!r} and {old!r} cannot both become {new!r}")
            taken[new] = old
        self._missing: Missing = missing
        self._existing: Existing = existing
        self.name = name

    def process(self, record: Record, ctx: Context | None = None) -> dict[Any, Any]:
        """Return *record* with the new names, which stand behind the fields that kept theirs."""
        fields = copied(record)
        moved = {}
        for old, new in self._names.items():
            value = fields.pop(old, _GONE)
            if value is not _GONE:
                moved[new] = value
            elif self._missing == "error":
                raise no_field(old)
        if self._existing == "error":
            for old, new in self._names.items():
                if new in moved and new in fields:
                    raise ValueError(f"field {old!r} cannot become {new!r}: the record has such a field already")
        fields.update(moved)
        return fields

    def inline(self, *, fresh: bool) -> Inline:
        """Return the same as statements."""
        if len(self._names) > MOST_INLINE or self._names.keys() & self._names.values():
            return Inline(("@out = @0(@in)",), (self.process,))
        constants = (*(name for pair in self._names.items() for name in pair), self.process)
        reference = len(constants) - 1
        if fresh:
            body, wrong = [*self._body("@in")], f"@{reference}(@in)"
        else:
            body, wrong = ["@out = {**@in}", *self._body("@out")], f"@out = @{reference}(@in)"
        return Inline(("try:", *(f"    {line}" for line in body), "except Exception:", f"    {wrong}"), constants)

    def _body(self, fields: str) -> Iterator[str]:
        """Yield what is done to *fields*: what fails does so before anything is changed, and `process` says why."""
        pairs = [(f"@{place}", f"@{place + 1}") for place in range(0, 2 * len(self._names), 2)]
        wrong = [self._wrong(fields, *pair, is_first=pair is pairs[0]) for pair in pairs]
        if any(wrong):
            yield f"if {' or '.join(filter(None, wrong))}:"
            yield "    raise LookupError"
        for old, new in pairs:
            if self._missing == "error":
                yield f"{fields}[{new}] = {fields}.pop({old})"
            else:
                yield f"if {old} in {fields}:"
                yield f"    {fields}[{new}] = {fields}.pop({old})"

    def _wrong(self, fields: str, old: str, new: str, *, is_first: bool) -> str:
        """Return the condition under which a pair of names cannot be renamed."""
        clash = f"{new} in {fields}" if self._existing == "error" else ""
        if self._missing == "ignore":
            return clash and f"{old} in {fields} and {clash}"
        # The first to be taken out fails by itself, when nothing is changed yet.
        gone = "" if is_first else f"{old} not in {fields}"
        return " or ".join(filter(None, (gone, clash)))

    def named(self, name: str) -> "Rename":
        """Return the same step with another *name* for its stage."""
        return Rename(self._names, missing=self._missing, existing=self._existing, name=name)

    def __repr__(self) -> str:
        return f"Rename({self._names!r})"


def _hint(option: str) -> str:
    return f"; a field of that name is renamed by rename({{{option!r}: ...}})"
