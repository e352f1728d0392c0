"""Takes fields out of records: `steps.drop("tz", "ids")`."""

from collections.abc import Sequence
from typing import Any

from agora_core.builtin.step_records import MOST_INLINE, Missing, checked_name, checked_word, copied, no_field
from agora_core.spec.errors import ConfigError
from agora_core.spec.inline import Inline
from agora_core.spec.records import Context, Record


class Drop:
    """Takes out *fields*; one that a record does not have is no mistake, unless *missing* says so."""

    def __init__(self, fields: Sequence[str], *, missing: Missing = "ignore", name: str = "drop") -> None:
        if isinstance(fields, str) or not isinstance(fields, Sequence) or not fields:
            raise ConfigError(
                f'fields of drop must be a list of at least one name, such as ["tz"], not {fields!r:.100}'
            )
        checked_word("missing", missing, ("ignore", "error"))
        self._fields = tuple(dict.fromkeys(checked_name(field, "drop") for field in fields))
        self._missing: Missing = missing
        self.name = name

    def process(self, record: Record, ctx: Context | None = None) -> dict[Any, Any]:
        """Return *record* without the fields."""
        left = copied(record)
        for field in self._fields:
            if field in left:
                del left[field]
            elif self._missing == "error":
                raise no_field(field)
        return left

    def inline(self, *, fresh: bool) -> Inline:
        """Return the same as statements."""
        count = len(self._fields)
        if count > MOST_INLINE:
            return Inline(("@out = @0(@in)",), (self.process,))
        target = "@in" if fresh else "@out"
        copy = () if fresh else ("@out = {**@in}",)
        wrong = f"@{count}(@in)" if fresh else f"@out = @{count}(@in)"
        if self._missing == "ignore":
            lines = (*copy, *(f"{target}.pop(@{place}, None)" for place in range(count)))
            if fresh:
                return Inline(lines, self._fields)
        else:
            there = (f"{target}[@{place}]" for place in range(count)) if fresh and count > 1 else ()
            lines = (*copy, *there, *(f"del {target}[@{place}]" for place in range(count)))
        indented = (f"    {line}" for line in lines)
        return Inline(("try:", *indented, "except Exception:", f"    {wrong}"), (*self._fields, self.process))

    def named(self, name: str) -> "Drop":
        """Return the same step with another *name* for its stage."""
        return Drop(self._fields, missing=self._missing, name=name)

    def __repr__(self) -> str:
        return f"Drop({', '.join(map(repr, self._fields))})"
