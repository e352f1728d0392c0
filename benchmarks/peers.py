"""The job of `sync_chain` done by others of this field, where they are installed: `pip install bytewax dlt`."""

from importlib import import_module
from importlib.util import find_spec

from benchmarks.figure import show, size, skip
from benchmarks.methods import cpu_per_record
from benchmarks.rates import CPU
from benchmarks.sync_chain import from_list, loop

PEERS = (
    ("bytewax", "run", "bytewax", 300_000),
    ("dlt", "read_only", "dlt, a resource alone", 30_000),
    ("dlt", "run", "dlt, a whole pipeline", 30_000),
)


def main() -> None:
    for package, function, words, most in PEERS:
        goal = f"{words}: map+filter, list to batch sink, of the plain loop"
        if find_spec(package) is None:
            skip(goal, number=1, why=f"{package} is not installed")
            continue
        candidate = getattr(import_module(f"benchmarks.with_{package}"), function)
        large = size(most, quick=most // 10)
        costs = cpu_per_record(
            {"base": loop, "candidate": candidate, "agora": from_list}, small=large // 10, large=large
        )
        show(
            goal,
            number=1,
            base=1 / costs["base"],
            candidate=1 / costs["candidate"],
            agora=round(1 / costs["agora"]),
            n=large,
            method=CPU,
        )


if __name__ == "__main__":
    main()
