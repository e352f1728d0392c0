"""How fast a program moves records, as a part of the rate of plain loops: by instructions, then by CPU time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figure import show, size, skip
from benchmarks.methods import NoCallgrindError, Program, cpu_per_record, instructions

INSTRUCTIONS = "records per million instructions (callgrind)"
CPU = "records per CPU second (minima of 7)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A loop that does the same job by hand, and what part of its rate is aimed at."""

    name: str
    program: Program
    instructions_aim: str | None = None
    cpu_aim: str | None = None


def show_rates(goal: str, candidate: Program, bases: Sequence[Baseline], *, number: int | None = None) -> None:
    """Print the rate of *candidate* against each of *bases*, by both methods."""
    programs = {"candidate": candidate, **{base.name: base.program for base in bases}}
    small, large = size(20_000, quick=5_000), size(120_000, quick=15_000)
    try:
        costs = instructions(programs, small=small, large=large)
    except NoCallgrindError as error:
        for base in bases:
            skip(f"{goal}, of {base.name}", number=number, aim=base.instructions_aim, why=str(error))
    else:
        rates = {name: 1e6 / cost for name, cost in costs.items()}
        _show(goal, rates, {base.name: base.instructions_aim for base in bases}, large, INSTRUCTIONS, number)
    small, large = size(20_000, quick=5_000), size(300_000, quick=35_000)
    costs = cpu_per_record(programs, small=small, large=large)
    rates = {name: 1 / cost for name, cost in costs.items()}
    _show(goal, rates, {base.name: base.cpu_aim for base in bases}, large, CPU, number)


def _show(
    goal: str, rates: Mapping[str, float], aims: Mapping[str, str | None], n: int, method: str, number: int | None
) -> None:
    for name, aim in aims.items():
        show(
            f"{goal}, of {name}",
            number=number,
            aim=aim,
            base=rates[name],
            candidate=rates["candidate"],
            n=n,
            method=method,
        )
