"""The declarative steps, compiled into one loop, against a plain loop over functions that do the same.

Goal 2: at least 1.0 of the plain loop in instructions.
"""

from agora import IterableSource, NullSink, Pipeline, steps
from benchmarks.earthquakes import Row, rows
from benchmarks.pooled import delivery, run_alone
from benchmarks.rates import Baseline, show_rates

LEAST = 2.5


def with_network(row: Row) -> Row:
    return {**row, "network": "ci"}


def renamed(row: Row) -> Row:
    row = {**row}
    row["magnitude"] = row.pop("mag")
    return row


def as_numbers(row: Row) -> Row:
    return {**row, "magnitude": float(row["magnitude"]), "depth": float(row["depth"])}


def is_felt(row: Row) -> bool:
    return bool(row["magnitude"] >= LEAST)


def without_status(row: Row) -> Row:
    row = {**row}
    del row["status"]
    return row


def loop(count: int) -> None:
    for row in rows(count):
        quake = as_numbers(renamed(with_network(row)))
        if is_felt(quake):
            without_status(quake)


def set_network(row: Row) -> Row:
    row["network"] = "ci"
    return row


def rename(row: Row) -> Row:
    row["magnitude"] = row.pop("mag")
    return row


def cast(row: Row) -> Row:
    row["magnitude"] = float(row["magnitude"])
    row["depth"] = float(row["depth"])
    return row


def drop_status(row: Row) -> Row:
    del row["status"]
    return row


def loop_in_place(count: int) -> None:
    for row in rows(count):
        quake = cast(rename(set_network({**row})))
        if is_felt(quake):
            drop_status(quake)


def by_steps(count: int) -> None:
    pipeline = (
        Pipeline(IterableSource(rows(count)))
        .pipe(steps.set(network="ci"))
        .pipe(steps.rename(mag="magnitude"))
        .pipe(steps.cast(magnitude="float", depth="float"))
        .pipe(steps.where("magnitude", ">=", LEAST))
        .pipe(steps.drop("status"))
    )
    with delivery() as config:
        run_alone(pipeline.build(NullSink(), config=config), expected=count)


def main() -> None:
    show_rates(
        "set, rename, cast, where, drop",
        by_steps,
        [
            Baseline(
                name="a plain loop over functions that do the same", program=loop, instructions_aim="ratio >= 1.0"
            ),
            Baseline(name="one over functions that change one copy in place", program=loop_in_place),
        ],
        number=2,
    )


if __name__ == "__main__":
    main()
