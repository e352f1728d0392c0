"""A worker whose dead letters could not be kept does not start, wherever its pipelines come from."""

WORKER = """
from agora import DeliveryConfig, IterableSource, NullSink, Pipeline, SqliteDlq
from agora.runner import Schedule, ScheduledPipeline, WorkerPool

class Source:
    def stream(self):
        print("read")
        return [1]

async def good():
    print("built good")
    return Pipeline(Source()).build(NullSink(), config=DeliveryConfig(dlq=SqliteDlq("dead.db")))

async def bad():
    print("built bad")
    return Pipeline(Source()).build(NullSink(), config=DeliveryConfig(dlq=SqliteDlq("worker.py/dead.db")))

def get_worker():
    pool = WorkerPool()
    pool.register(ScheduledPipeline(good, Schedule.once(), "good"))
    pool.register(ScheduledPipeline(bad, Schedule.every(hours=1), "bad"))
    return pool
"""

CODEC = """
from agora.plugins import Offer, hookimpl

def make():
    raise KeyError("no licence")

@hookimpl
def agora_dlq_codecs():
    return [Offer("broken", "", make)]
"""


def test_a_store_of_a_worker_module_is_looked_at_before_anything_runs(project):
    """Exit code 2 and one sentence; each factory was called once, and no source was read."""
    project.write("worker.py", WORKER)

    refused, checked = project.real("worker"), project.agora("check")

    assert refused.returncode == 2
    assert "the dead-letter store 'worker.py/dead.db' cannot be used" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert sorted(refused.stdout.split("\n")) == ["", "built bad", "built good"]
    assert refused.stderr.strip().removeprefix("agora: ") in checked.stderr


def test_a_usable_store_costs_no_second_call(project):
    """The first run runs what was built for the look."""
    project.write("worker.py", WORKER.replace("worker.py/dead.db", "bad.db").replace("every(hours=1)", "once()"))

    done = project.real("worker")

    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == ["built bad", "built good", "read", "read"]


def test_a_broken_codec_refuses_the_start(project):
    """With exit code 2, the distribution and what it raised; `agora check` says the same."""
    project.write("worker.py", project.worker)
    project.write("broken_codec.py", CODEC)
    info = project.root / "lab-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[agora]\nbroken = broken_codec\n")
    where = {"PYTHONPATH": str(project.root)}

    refused, checked = project.real("worker", env=where), project.real("check", env=where)

    sentence = "record codec 'broken' of lab cannot be built: KeyError: 'no licence' (broken_codec.py:4)"
    assert (refused.returncode, checked.returncode) == (2, 2)
    assert refused.stderr.splitlines()[-1] == f"agora: {sentence}"
    assert sentence in checked.stderr
    assert project.lines("out.txt") == []
