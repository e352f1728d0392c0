"""The page's section "ScheduledPipeline", as printed."""

BLOCK = """
from agora.runner import ScheduledPipeline, Schedule

async def build_pipeline() -> BoundPipeline:
    return (
        Pipeline(MySource())
        .pipe(NormalizeMiddleware())
        .build(MySink())
    )

scheduled = ScheduledPipeline(
    factory=build_pipeline,
    schedule=Schedule.every(hours=6),
    pipeline_id="my_pipeline",
    max_records=10_000,
    max_consecutive_errors=3,
    error_backoff_seconds=60.0,
)
"""

MAIN = """
import asyncio

async def main():
    async def stop_after_the_first_run():
        while scheduled.status.last_run is None:
            await asyncio.sleep(0.01)
        print("state:", scheduled.state)
        scheduled.stop()

    stopper = asyncio.create_task(stop_after_the_first_run())
    await scheduled.start()
    await stopper
    print("state:", scheduled.state)

asyncio.run(main())
"""


def test_the_block_runs_as_printed(project):
    """The printed block writes the source's records once and then waits for its next tick."""
    project.write("app.py", "from mine import *\nfrom mine import BoundPipeline, Pipeline\n" + BLOCK + MAIN)

    done = project.run("python app.py")

    assert done.returncode == 0, done.stderr
    assert project.lines("out.txt") == ["0", "2", "4", "6", "8"]
    assert done.stdout.splitlines() == ["state: waiting", "state: stopped"]
    assert "Traceback" not in done.stderr


SCHEDULES = """
from agora.runner import Schedule

for schedule in (
    Schedule.every(seconds=30),
    Schedule.every(minutes=5),
    Schedule.every(hours=6),
    Schedule.cron("0 */6 * * *"),
    Schedule.continuous(),
    Schedule.once(),
):
    print(schedule)
"""


def test_every_schedule_of_the_table_can_be_written_and_printed(project):
    """The six schedules of the table are printable values."""
    project.write("app.py", SCHEDULES)

    done = project.run("python app.py")

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["every 30s", "every 5m", "every 6h", "cron 0 */6 * * *", "continuous", "once"]


ERRORS = """
import asyncio, logging, sys, time
from agora.runner import ScheduledPipeline, Schedule

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
outcomes = iter(sys.argv[1])
seen = []

class Flaky:
    async def run(self, max_records=None):
        seen.append(time.monotonic())
        if next(outcomes, "F") == "F":
            raise ValueError("the feed is down")

async def build():
    return Flaky()

scheduled = ScheduledPipeline(
    factory=build,
    schedule=Schedule.every(seconds=0.01),
    pipeline_id="flaky",
    max_consecutive_errors=3,
    error_backoff_seconds=0.05,
)
asyncio.run(scheduled.start())
print(len(seen), scheduled.state, scheduled.status.consecutive_errors)
"""


def test_a_pipeline_stops_after_its_consecutive_errors(project):
    """Three failures in a row stop the pipeline, and each is logged."""
    project.write("app.py", ERRORS)

    done = project.run("python app.py FFF")

    assert done.stdout.split() == ["3", "failed", "3"]
    assert done.stderr.count("run failed") == 3
    assert "the feed is down" in done.stderr


def test_a_success_resets_the_count(project):
    """Two failures, a success and two failures do not stop a pipeline that allows two in a row: the third does."""
    project.write("app.py", ERRORS)

    done = project.run("python app.py FFSFFSFFF")

    assert done.stdout.split() == ["9", "failed", "3"]


ONCE_AND_CONTINUOUS = """
import asyncio, sys
from agora.runner import ScheduledPipeline, Schedule

runs = 0

class Counted:
    async def run(self, max_records=None):
        global runs
        runs += 1
        if runs == 5:
            scheduled.stop()

async def build():
    return Counted()

scheduled = ScheduledPipeline(factory=build, schedule=getattr(Schedule, sys.argv[1])(), pipeline_id="counted")
asyncio.run(scheduled.start())
print(runs, scheduled.state)
"""


def test_once_runs_exactly_once_then_stops(project):
    """`Schedule.once()` gives one run, and `start()` returns."""
    project.write("app.py", ONCE_AND_CONTINUOUS)

    assert project.run("python app.py once").stdout.split() == ["1", "completed"]


def test_continuous_restarts_immediately(project):
    """`Schedule.continuous()` runs again and again until it is stopped."""
    project.write("app.py", ONCE_AND_CONTINUOUS)

    assert project.run("python app.py continuous").stdout.split() == ["5", "stopped"]
