"""A pool from a config file."""

import json

from agora_core.registry.config import load_config
from agora_core.registry.plugins import installed
from agora_core.runner.from_config import pool_from_config
from agora_core.testing.virtual_loop import run_virtual

CONFIG = """
format = "agora/v1"

[worker]
graceful_shutdown_timeout = 5.0
stall_seconds = 7
gc_freeze = false
max_concurrent_runs = 3
resources = { warehouse = 2, api = 1 }

[dlq]
store = "memory"

[pipelines.copy]
max_records = 2
run_timeout_seconds = 60
resources = ["warehouse"]
priority = -1

[pipelines.copy.source]
type = "jsonl"
path = "in.jsonl"

[[pipelines.copy.sinks]]
type = "jsonl"
path = "out.jsonl"

[pipelines.copy.schedule]
type = "once"

[pipelines.copy.retry]
max_consecutive_errors = 2
error_backoff_seconds = 3.0
policy = "constant"
on_exhausted = "cool_down"
cool_down_seconds = 90
"""


def test_a_pool_of_a_config_runs(tmp_path, monkeypatch):
    """All that the file says arrives: settings, limits, schedule, retry; and the pipeline runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines.toml").write_text(CONFIG)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"n": n}) + "\n" for n in range(3)))

    pool = pool_from_config(load_config(tmp_path / "pipelines.toml", installed()))
    (one,) = pool.pipelines
    report = run_virtual(pool.run())

    assert (pool.settings.graceful_shutdown_timeout, pool.settings.stall_seconds) == (5.0, 7)
    assert not pool.settings.gc_freeze
    assert (pool.settings.max_concurrent_runs, pool.settings.resources) == (3, {"warehouse": 2, "api": 1})
    assert (one.resources, one.priority) == ({"warehouse": 1}, -1)
    assert (one.on_exhausted, one.cool_down_seconds) == ("cool_down", 90)
    assert (one.id, str(one.schedule), one.max_records, one.run_timeout_seconds) == ("copy", "once", 2, 60)
    assert (one.max_consecutive_errors, one.error_backoff_seconds, one.backoff_policy.name) == (2, 3.0, "constant")
    assert report.completed == ("copy",)
    assert [json.loads(line)["n"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [0, 1]
