"""The text of a fused loop: one `for` over a batch, with every stage in its body."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

_PLACEHOLDER = re.compile(r"@(in|out|skip|[0-9]+|[a-z])\b")


class Shape(NamedTuple):
    """What of a stage is seen in the text: neither its function nor its constants."""

    is_async: bool
    """Whether its function is known to give something to await."""
    takes_context: bool
    selects: bool
    lines: tuple[str, ...] = ()
    """The statements of a step that needs no call."""


class Text(NamedTuple):
    """A function in Python, and how to find the culprit when a line of it raises.

    The record that came is `r0`; each stage that gives another has a variable of its own, so that all of them are there
    when one fails.
    """

    source: str
    stages: tuple[int, ...]
    """For each line the number of the stage that it belongs to, or -1."""
    entered: tuple[int, ...]
    """For each stage the number of the variable that came into it."""
    given: tuple[tuple[int, ...], ...]
    """For each stage, and last for the end of the chain, the variables that functions gave before it."""


def text_of(shapes: Sequence[Shape], *, wary: bool) -> Text:
    """Return the loop over stages of these shapes.

    A *wary* one looks for bad records. Each tells of records that a function gave back, perhaps changed, where what
    comes out at the end does not show it.
    """
    writer = _Writer()
    for number, shape in enumerate(shapes):
        writer.stage(number, shape)
    writer.end()
    body = writer.body
    drops = ", ".join(f"drop{number}" for number in range(len(shapes)))
    names = "".join(f", r{number}" for number in range(1, writer.variable + 1))
    head = [
        f"async def run(batch, kept, dropped, touched, fail, bad, {', '.join((*PARTS, *writer.parameters))}):",
        *([f"    {names[2:].replace(', ', ' = ')} = None"] if names else []),
        *([f"    {' = '.join(writer.types)} = None"] if writer.types else []),
        *([f"    {drops}, = [each.append for each in dropped]"] if shapes else []),
        "    for r0 in batch:",
        *(["        if type(r0) is BadRecord:", "            if bad(r0):", "                continue"] if wary else []),
        *(["            break"] if wary else []),
        "        try:",
    ]
    tail = [
        "        except LeaseLostError:",
        "            raise",
        "        except Exception as error:",
        f"            if not fail(error, (r0,{names[1:]})):",
        "                break",
    ]
    lines = [*head, *(f"            {line}" for _, line in body), *tail]
    stages = [-1] * len(head) + [number for number, _ in body] + [-1] * len(tail)
    source = "\n".join(lines) + "\n"
    return Text(source, tuple(stages), tuple(writer.entered), tuple(writer.given))


PARTS = ("BadRecord", "LeaseLostError", "type", "len", "plain", "waits", "ctx")
"""What every loop is given, in this order, before the functions and constants of its stages."""


def parameters_of(number: int, shape: Shape) -> Iterator[str]:
    """Yield the names of what the stage *number* needs: its function, or the constants of its lines."""
    if not shape.lines:
        yield f"s{number}"
        return
    used = {int(found) for line in shape.lines for found in _PLACEHOLDER.findall(line) if found.isdigit()}
    for constant in range(max(used, default=-1) + 1):
        yield f"s{number}_{constant}"


class _Writer:
    """Writes the loop's body, line by line."""

    def __init__(self) -> None:
        self.body: list[tuple[int, str]] = []
        self.parameters: list[str] = []
        self.types: list[str] = []
        self.variable = 0
        self.entered: list[int] = []
        self.given: list[tuple[int, ...]] = [()]

    def stage(self, number: int, shape: Shape) -> None:
        self.entered.append(self.variable)
        self.parameters += parameters_of(number, shape)
        before = self.variable
        if shape.lines:
            lines = self._inline(number, shape)
        elif shape.selects:
            lines = self._select(number, shape)
        else:
            lines = self._call(number, shape)
        self.body += [(number, line) for line in lines]
        gave = (self.variable,) if self.variable > before and not shape.lines else ()
        self.given.append((*self.given[-1], *gave))

    def end(self) -> None:
        last = self.variable
        handed_on = [f"r{number} is r0" for number in self.given[-1] if number != last]
        if handed_on:
            self.body.append((-1, f"if ({' or '.join(handed_on)}) and r{last} is not r0:"))
            self.body.append((-1, "    touched.append(r0)"))
        self.body.append((-1, f"kept.append(r{last})"))

    def _asked(self, number: int, shape: Shape) -> str:
        context = ", ctx" if shape.takes_context else ""
        return f"s{number}(r{self.variable}{context})"

    def _call(self, number: int, shape: Shape) -> list[str]:
        asked = self._asked(number, shape)
        self.variable += 1
        new, kind = f"r{self.variable}", f"t{number}"
        if shape.is_async:
            return [f"{new} = await {asked}", f"if {new} is None:", f"    {_skip(number)}"]
        # What the function gives is mostly of the type that it gave last, and then there is nothing to ask.
        self.types.append(kind)
        return [
            f"{new} = {asked}",
            f"if type({new}) is not {kind}:",
            f"    if {new} is None:",
            f"        {_skip(number)}",
            f"    {kind} = type({new})",
            f"    if {kind} not in plain:",
            f"        {kind} = None",
            f"        if waits({new}):",
            f"            {new} = await {new}",
            f"            if {new} is None:",
            f"                {_skip(number)}",
        ]

    def _select(self, number: int, shape: Shape) -> list[str]:
        asked = self._asked(number, shape)
        if shape.is_async:
            return [f"if not await {asked}:", f"    {_skip(number)}"]
        return [
            f"passes = {asked}",
            "if passes is not True:",
            "    if passes is not False and type(passes) not in plain and waits(passes):",
            "        passes = await passes",
            "    if not passes:",
            f"        {_skip(number)}",
        ]

    def _inline(self, number: int, shape: Shape) -> list[str]:
        came = f"r{self.variable}"
        if any("@out" in line for line in shape.lines):
            self.variable += 1
        named = {"in": came, "out": f"r{self.variable}", "skip": _skip(number)}
        return [_PLACEHOLDER.sub(partial(_replaced, named, number), line) for line in shape.lines]


def _skip(number: int) -> str:
    """Return what is done with a record that the stage *number* filters out; each stage has a list of its own."""
    return f"drop{number}(len(kept)); continue"


def _replaced(named: dict[str, str], number: int, found: re.Match[str]) -> str:
    word = found[1]
    return named.get(word) or f"s{number}_{word}"
