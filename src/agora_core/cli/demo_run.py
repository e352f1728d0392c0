"""Runs the demo: the real worker over a project of its own, shown in a calm way."""

import asyncio
import logging
import shlex
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from agora_core.cli.demo_files import MODULE, WRITTEN, write_project
from agora_core.cli.demo_view import DemoView
from agora_core.cli.endings import owns_process
from agora_core.cli.event_loop import run
from agora_core.cli.printing import counted, say, table
from agora_core.cli.serving import leave_with
from agora_core.registry.catalogue import Kind
from agora_core.registry.config import load_config
from agora_core.registry.plugins import installed
from agora_core.runner.from_config import pool_from_config
from agora_core.runner.pool import WorkerPool
from agora_core.runner.report import PoolReport
from agora_core.spec.errors import OfferError
from agora_core.spec.offers import Choice

_ABOUT = {
    "week": "all of them, into a database and a file",
    "strong": "magnitude 4.5 and more, into a file that is replaced",
    "felt": "those that somebody felt, into a file that is replaced",
}
_REMEDY = "pip install 'agora-etl-plugins[cron]'"


def run_demo(*, seconds: float, directory: Path, health_port: int) -> None:
    """Write the project, run it for *seconds*, and say what to try next."""
    missing = _why_no_cron()
    config = write_project(directory, health_port=health_port, with_cron=not missing)
    pool = pool_from_config(load_config(config, installed()))
    _say_beginning(pool, seconds, missing)
    view, report = _run_shown(pool, seconds)
    if view.broken is not None:
        raise view.broken
    _say_end(directory, config, view.dead)
    leave_with(report)


def _run_shown(pool: WorkerPool, seconds: float) -> tuple[DemoView, PoolReport]:
    """Run *pool* for *seconds* from its start, and show what happens in place of the log."""
    view = DemoView(
        on_start=lambda: asyncio.get_running_loop().call_later(seconds, pool.stop),
        on_broken=pool.stop,
    )
    log = logging.getLogger("agora")
    log.addHandler(view)
    log.setLevel(logging.INFO)
    try:
        return view, run(pool.run(signals=True, exit_when_stuck=owns_process()), signals=False)
    finally:
        log.removeHandler(view)
        log.setLevel(logging.NOTSET)


def _why_no_cron() -> str:
    """Return why there are no cron schedules, or an empty string."""
    try:
        installed().catalogue.check(Kind.SCHEDULE_TYPE, Choice("cron", {"expression": "@hourly"}, _REMEDY))
    except OfferError as error:
        return str(error)
    return ""


def _say_beginning(pool: WorkerPool, seconds: float, missing: str) -> None:
    many = counted(len(pool.pipelines), "pipeline")
    say(f"A week of earthquakes, 1,707 events as they were published: {many} for {seconds:g} seconds.")
    say("Ctrl+C stops it earlier.")
    say()
    rows = [(pipeline.id, str(pipeline.schedule), _ABOUT.get(pipeline.id, "")) for pipeline in pool.pipelines]
    for line in table(rows, indent="  "):
        say(line)
    if missing:
        say(f"  without the one on cron: {missing}")


def _say_end(directory: Path, config: Path, dead: int) -> None:
    agora = program()
    where = shlex.quote(str(config))
    say()
    say(f"Written into {directory}")
    for line in table([(name, size) for name in WRITTEN if (size := _size(directory / name))], indent="  "):
        say(line)
    say()
    if dead:
        say(f"{counted(dead, 'event')} without `rms` became dead letters. Next, try")
        say(f"  {agora} dlq list --config {where}")
        say(f"  {agora} dlq show 1 --config {where}")
        say(f"  {agora} dlq replay --config {where}")
        say(f"They fail again until RMS_IS_REQUIRED is False in {directory / MODULE}. And then")
    else:
        say("Next, try")
    say(f"  {agora} worker --list --config {where}")
    say(f"  {agora} worker --config {where}")


def _size(path: Path) -> str:
    if not path.is_file():
        return ""
    if path.name == "earthquakes.db":
        with closing(sqlite3.connect(path)) as database:
            (rows,) = database.execute("select count(*) from earthquakes").fetchone()
        return f"{counted(rows, 'row')} in the table `earthquakes`"
    if path.suffix == ".jsonl":
        with path.open("rb") as lines:
            return counted(sum(1 for _ in lines), "line")
    return "the dead letters"


def program() -> str:
    """Return how the user started Agora, so that what is printed can be typed."""
    typed = Path(sys.argv[0])
    if typed.name == "agora":
        found = shutil.which("agora")
        same = found is not None and typed.exists() and Path(found).samefile(typed)
        return "agora" if same else shlex.quote(sys.argv[0])
    if typed.parts[-2:] == ("agora", "__main__.py"):
        return f"{shlex.quote(sys.executable)} -m agora"
    return "agora"
