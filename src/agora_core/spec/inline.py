"""Steps that say in Python statements what they do to a record, so that a chain of them becomes one loop."""

from typing import NamedTuple, Protocol, runtime_checkable


class Inline(NamedTuple):
    """What a step does to one record, as statements of a loop's body.

    In *lines*, `@in` is the record that comes and `@out` a variable of its own for the one that goes on: lines that
    assign it make a new dict of every record, and where none does, `@in` goes on. `@skip`, alone on its line, is the
    statement that filters the record out; `@0`, `@1`, … are the *constants*, each of which is used, and `@a` to `@z`
    are variables of the step's own. A line may be indented by four spaces a level. What a user wrote, a field's name or
    a value, is a constant, never a part of the text: the text is compiled, and kept for the next step of its shape.
    """

    lines: tuple[str, ...]
    constants: tuple[object, ...] = ()


@runtime_checkable
class InlineStep(Protocol):
    """A middleware that can be compiled into a chain.

    Its `process` does the same, raises the same errors, and never changes what it was given.
    """

    def inline(self, *, fresh: bool) -> Inline:
        """Return the statements; if *fresh*, `@in` is a dict that the steps before made and may be changed in place.

        Without *fresh* `@in` must be left as it was. Nothing of `@in` may be changed before the last thing that can
        fail, since a record that failed is kept as it came.
        """
