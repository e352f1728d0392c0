"""What records that fail cost, when each is kept in the SQLite dead-letter store before the source goes on.

Goal 6: one in a hundred failing keeps at least 0.80 of the error-free rate, all of them failing at least 0.15, and no
user function runs twice for one record.
"""

import logging
import os
from collections import Counter
from functools import cache

from agora import IterableSource, NullSink, Pipeline
from benchmarks.earthquakes import Row, is_felt, rows, to_quake
from benchmarks.figure import show, size
from benchmarks.methods import cpu_per_record
from benchmarks.pooled import delivery, run_alone
from benchmarks.rates import CPU

PART = 20


@cache
def broken(count: int, every: int) -> list[Row]:
    """Return *count* rows, of which one in *every* has a magnitude that is no number."""
    return [{**row, "mag": "n/a"} if number % every == 0 else row for number, row in enumerate(rows(count))]


def run(records: list[Row], *, dead: int) -> None:
    with delivery() as config:
        pipeline = Pipeline(IterableSource(records)).map(to_quake).filter(is_felt).build(NullSink(), config=config)
        counts = run_alone(pipeline, expected=len(records))
    if counts.dead != dead:
        raise RuntimeError(f"{dead} dead letters were expected, and the pipeline counted {counts.dead}")


def none(count: int) -> None:
    run(rows(count), dead=0)


def one_percent(count: int) -> None:
    run(broken(count, 100), dead=count // 100)


def all_of_a_part(count: int) -> None:
    """Run the fewer records the more each of them costs."""
    run(broken(count // PART, 1), dead=count // PART)


def show_rates(count: int) -> None:
    """Print what part of the error-free rate is kept where one in a hundred records fails, and where all do."""
    programs = {"none": none, "1 %": one_percent, "100 %": all_of_a_part}
    costs = cpu_per_record(programs, small=count // 10, large=count)
    costs["100 %"] *= PART
    for share, aim in (("1 %", "ratio >= 0.80"), ("100 %", "ratio >= 0.15")):
        show(
            f"{share} of the records into SQLite as dead letters, of the error-free rate",
            number=6,
            aim=aim,
            base=1 / costs["none"],
            candidate=1 / costs[share],
            n=count,
            method=CPU,
        )


def show_calls(count: int) -> None:
    """Print the most calls that any user function got for one record, with one in ten failing in each function."""
    calls: Counter[tuple[str, int]] = Counter()

    def counted_map(numbered: tuple[int, Row]) -> tuple[int, Row]:
        number, row = numbered
        calls["map", number] += 1
        return number, to_quake(row)

    def counted_filter(numbered: tuple[int, Row]) -> bool:
        number, quake = numbered
        calls["filter", number] += 1
        if number % 10 == 5:
            raise ValueError("nobody knows")
        return is_felt(quake)

    records = list(enumerate(broken(count, 10)))
    with delivery() as config:
        pipeline = Pipeline(IterableSource(records)).map(counted_map).filter(counted_filter)
        run_alone(pipeline.build(NullSink(), config=config), expected=count)
    show(
        "calls of a user function for one record, a fifth of them failing",
        number=6,
        aim="candidate <= 1",
        base=1,
        candidate=max(calls.values()),
        n=count,
        method="counted",
    )


def main() -> None:
    logging.basicConfig(filename=os.devnull)  # what a run tells of its dead letters is written, as a worker does
    show_rates(size(200_000, quick=30_000))
    show_calls(size(20_000, quick=2_000))


if __name__ == "__main__":
    main()
