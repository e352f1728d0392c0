"""Files of JSON lines and of CSV, read, mapped and written, against loops by hand that do the same.

Goal 5: JSON lines at 0.85 or more of the rate of a loop with a fast codec, and at 4 times or more that of `json`.
"""

import asyncio
import csv
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from agora import CsvSink, CsvSource, JsonlSink, JsonlSource, Pipeline
from benchmarks.earthquakes import Row, rows, to_quake
from benchmarks.figure import show, size, skip
from benchmarks.methods import Program, cpu_per_record
from benchmarks.pooled import delivery, run_alone
from benchmarks.rates import CPU

BATCH = 256

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


def to_reading(row: Mapping[str, str]) -> Row:
    """Do for a row of text what `to_quake` does."""
    return {
        "place": row["place"].strip(),
        "magnitude": float(row["mag"]),
        "depth": float(row["depth"]),
        "minute": int(row["time"]) // 60_000,
    }


def prepare(folder: Path, count: int) -> None:
    """Write the files that the programs read."""
    jsonl_in(folder, count).write_bytes(b"".join([encode(row) + b"\n" for row in rows(count)]))
    with csv_in(folder, count).open("w", newline="") as file:
        write_rows(file, rows(count))


def jsonl_in(folder: Path, count: int) -> Path:
    return folder / f"{count}.jsonl"


def csv_in(folder: Path, count: int) -> Path:
    return folder / f"{count}.csv"


def write_rows(file: Any, records: Sequence[Row]) -> None:
    writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow(record)


def jsonl_pipeline(folder: Path, count: int) -> None:
    sink = JsonlSink(folder / "out.jsonl", mode="replace")
    with delivery() as config:
        built = Pipeline(JsonlSource(jsonl_in(folder, count))).map(to_quake).build(sink, config=config)
        run_alone(built, expected=count)


def csv_pipeline(folder: Path, count: int) -> None:
    sink = CsvSink(folder / "out.csv", mode="replace")
    with delivery() as config:
        built = Pipeline(CsvSource(csv_in(folder, count))).map(to_reading).build(sink, config=config)
        run_alone(built, expected=count)


def codec_loop(loads: Callable[[bytes], Row], dumps: Callable[[Row], bytes], folder: Path, count: int) -> None:
    with jsonl_in(folder, count).open("rb") as lines, (folder / "loop.jsonl").open("wb") as out:
        for line in lines:
            out.write(dumps(to_quake(loads(line))) + b"\n")


def json_loop(folder: Path, count: int) -> None:
    loop = folder / "loop.jsonl"
    with jsonl_in(folder, count).open(encoding="utf-8") as lines, loop.open("w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(to_quake(json.loads(line))) + "\n")


def csv_loop(folder: Path, count: int) -> None:
    with csv_in(folder, count).open(newline="") as lines, (folder / "loop.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, ["place", "magnitude", "depth", "minute"], lineterminator="\n")
        writer.writeheader()
        for row in csv.DictReader(lines):
            writer.writerow(to_reading(row))


def jsonl_source(folder: Path, count: int) -> None:
    asyncio.run(read(JsonlSource(jsonl_in(folder, count))))


def csv_source(folder: Path, count: int) -> None:
    asyncio.run(read(CsvSource(csv_in(folder, count))))


async def read(source: JsonlSource | CsvSource) -> None:
    await source.open()
    async for _ in source.batches(BATCH):
        _ = source.position  # as a pipeline with a checkpoint asks for it
    await source.close()


def jsonl_sink(folder: Path, count: int) -> None:
    asyncio.run(write(JsonlSink(folder / "out.jsonl", mode="replace"), count))


def csv_sink(folder: Path, count: int) -> None:
    asyncio.run(write(CsvSink(folder / "out.csv", mode="replace"), count))


async def write(sink: JsonlSink | CsvSink, count: int) -> None:
    records = rows(count)
    await sink.open()
    for start in range(0, count, BATCH):
        await sink.write_batch(records[start : start + BATCH])
    await sink.flush()
    await sink.close()


def decoding_loop(folder: Path, count: int) -> None:
    with jsonl_in(folder, count).open("rb") as lines:
        for line in lines:
            decode(line)


def encoding_loop(folder: Path, count: int) -> None:
    with (folder / "loop.jsonl").open("wb") as out:
        for row in rows(count):
            out.write(encode(row) + b"\n")


def dict_reader(folder: Path, count: int) -> None:
    with csv_in(folder, count).open(newline="") as lines:
        for _ in csv.DictReader(lines):
            pass


def dict_writer(folder: Path, count: int) -> None:
    with (folder / "loop.csv").open("w", newline="") as out:
        write_rows(out, rows(count))


Bases = Mapping[str, tuple[Program, str | None]]
"""Loops by hand by their names, each with its aim or none."""


def show_files(
    goal: str, candidate: Program, bases: Bases, *, sizes: tuple[int, int], number: int | None = None
) -> None:
    """Print the rate of *candidate* against each of *bases*."""
    small, large = sizes
    programs = {"candidate": candidate, **{name: program for name, (program, _) in bases.items()}}
    rates = {name: 1 / cost for name, cost in cpu_per_record(programs, small=small, large=large).items()}
    for name, (_, aim) in bases.items():
        told = f"{goal}, of {name}"
        show(told, number=number, aim=aim, base=rates[name], candidate=rates["candidate"], n=large, method=CPU)


def main() -> None:
    sizes = size(20_000, quick=5_000), size(300_000, quick=35_000)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for count in sizes:
            prepare(folder, count)

        def at(program: Callable[[Path, int], object]) -> Program:
            return partial(program, folder)

        goal = "JSON lines, read, mapped and written"
        loops: dict[str, tuple[Program, str | None]] = {
            "a loop with msgspec": (at(partial(codec_loop, decode, encode)), "ratio >= 0.85"),
            "a loop with json": (at(json_loop), "ratio >= 4.0"),
        }
        if find_spec("orjson") is None:
            skip(f"{goal}, of a loop with orjson", why="orjson is not installed", number=5, aim="ratio >= 0.85")
        else:
            orjson = import_module("orjson")
            loops["a loop with orjson"] = (at(partial(codec_loop, orjson.loads, orjson.dumps)), "ratio >= 0.85")
        show_files(goal, at(jsonl_pipeline), loops, sizes=sizes, number=5)
        for told, program, name, base in (
            ("CSV, read, mapped and written", csv_pipeline, "a loop with DictReader and DictWriter", csv_loop),
            ("JsonlSource alone", jsonl_source, "a loop that decodes", decoding_loop),
            ("JsonlSink alone", jsonl_sink, "a loop that encodes", encoding_loop),
            ("CsvSource alone", csv_source, "DictReader", dict_reader),
            ("CsvSink alone", csv_sink, "DictWriter", dict_writer),
        ):
            show_files(told, at(program), {name: (at(base), None)}, sizes=sizes)


if __name__ == "__main__":
    main()
