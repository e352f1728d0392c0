"""The page's sections "agora worker CLI" and "DLQ replay", as printed."""

import json

WORKER = """
# worker.py
from agora.runner import WorkerPool, ScheduledPipeline, Schedule
from pipelines.ingest import build_pipeline

def get_worker() -> WorkerPool:
    pool = WorkerPool(health_port=8080)
    pool.register(ScheduledPipeline(
        factory=build_pipeline,
        schedule=Schedule.every(hours=6),
        pipeline_id="ingest",
    ))
    return pool
"""


def test_agora_worker_loads_worker_py(project, port):
    """`agora worker` runs the pool of worker.py until a signal ends it."""
    project.write("worker.py", WORKER.replace("8080", str(port)))
    with project.serving(port, "agora worker") as process:
        project.until(lambda: len(project.lines("out.txt")) == 5)
        code = project.terminate(process)

    assert code == 0, project.log()


def test_agora_worker_takes_a_custom_module_path(project, port):
    """`agora worker --module pipelines.worker` loads that module instead."""
    project.write("pipelines/worker.py", WORKER.replace("8080", str(port)))
    with project.serving(port, "agora worker --module pipelines.worker") as process:
        project.until(lambda: len(project.lines("out.txt")) == 5)
        code = project.terminate(process)

    assert code == 0, project.log()


def test_list_shows_pipelines_and_plugins_and_starts_nothing(project):
    """`agora worker --list` names the registered pipelines with their schedules and the discovered plugins."""
    project.write("worker.py", WORKER)

    done = project.run("agora worker --list")
    data = json.loads(project.run("agora worker --list --json").stdout)

    assert done.returncode == 0, done.stderr
    assert "ingest" in done.stdout
    assert "every 6h" in done.stdout
    assert "cron" in done.stdout
    assert "agora-etl-plugins" in done.stdout
    assert project.lines("out.txt") == []
    assert [row["id"] for row in data["pipelines"]] == ["ingest"]


def test_the_token_comes_from_the_environment(project, port):
    """`AGORA_HEALTH_AUTH_TOKEN=my-secret-token agora worker` guards the health endpoints."""
    project.write("worker.py", WORKER.replace("8080", str(port)))
    with project.serving(port, "AGORA_HEALTH_AUTH_TOKEN=my-secret-token agora worker") as process:
        without, right = project.get(port, "/health"), project.get(port, "/health", "my-secret-token")
        project.terminate(process)

    assert (without.status, right.status) == (401, 200)
    assert "my-secret-token" not in project.log()


PIPELINES = """
format = "agora/v1"

[dlq]
store = "sqlite"
path = "dead_letters.db"

[pipelines.prices.source]
type = "jsonl"
path = "prices.jsonl"

[[pipelines.prices.middlewares]]
type = "map"
name = "to_cents"
function = { import = "shop:to_cents" }

[[pipelines.prices.sinks]]
import = "shop:Till"

[pipelines.prices.schedule]
type = "once"
"""

SHOP = """
from pathlib import Path

def to_cents(record):
    factor = int(Path("factor").read_text()) if Path("factor").exists() else 100
    return {"name": record["name"], "cents": record["price"] * factor}

class Till:
    async def write(self, record):
        if Path("closed").exists() and record["name"] == "pear":
            raise ValueError("no pears after six")
        with Path("till.txt").open("a") as out:
            out.write(f"{record['name']} {record['cents']}\\n")
"""


def shop(project):
    """Run the shop once: the plum has no price, and the till refuses the pear."""
    project.write("pipelines.toml", PIPELINES)
    project.write("shop.py", SHOP)
    rows = [{"name": "apple", "price": 1}, {"name": "plum"}, {"name": "pear", "price": 2}]
    project.write("prices.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    project.write("closed", "")
    done = project.run("agora worker --config pipelines.toml")
    assert done.returncode == 0, done.stderr
    assert project.lines("till.txt") == ["apple 100"]
    (project.root / "closed").unlink()


def letters(project):
    return json.loads(project.run("agora dlq list --config pipelines.toml --json").stdout)


def test_replay_through_the_pipeline(project):
    """`agora dlq replay --config pipelines.toml` sends letters through the chain; what fails again keeps its row."""
    shop(project)
    before = {row["stage"]: row["id"] for row in letters(project)}

    done = project.run("agora dlq replay --config pipelines.toml")

    assert before.keys() == {"middleware:to_cents", "sink_write"}
    assert project.lines("till.txt") == ["apple 100", "pear 200"]
    assert done.returncode == 1, done.stdout + done.stderr
    left = letters(project)
    assert [(row["id"], row["stage"], row["attempts"]) for row in left] == [
        (before["middleware:to_cents"], "middleware:to_cents", 2)
    ]


def test_replay_of_one_stage_straight_to_the_sink(project):
    """`--stage sink_write --mode sink` writes the record as the sink was given it, past the middlewares."""
    shop(project)
    project.write("factor", "1000")

    done = project.run("agora dlq replay --config pipelines.toml --stage sink_write --mode sink")

    assert done.returncode == 0, done.stdout + done.stderr
    assert project.lines("till.txt") == ["apple 100", "pear 200"]
    assert [row["stage"] for row in letters(project)] == ["middleware:to_cents"]
