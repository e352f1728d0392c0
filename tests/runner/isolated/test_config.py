"""Pipelines of a config in processes of their own."""

import json
import os

import pytest

from agora_core.cli.main import main
from agora_core.registry.config import load_config
from agora_core.registry.plugins import installed
from agora_core.runner.from_config import pool_from_config
from agora_core.spec.errors import ConfigError, DeploymentError
from agora_core.spec.runs import Outcome

CONFIG = """
format = "agora/v1"

[worker]
max_processes = 1

[dlq]
path = "dead.db"

[pipelines.prices]
isolation = "process"

[pipelines.prices.source]
type = "jsonl"
path = "in.jsonl"

[[pipelines.prices.middlewares]]
type = "map"
function = { import = "shop:checked" }

[[pipelines.prices.sinks]]
type = "jsonl"
path = "out.jsonl"
"""

SHOP = """
import os
from pathlib import Path

def checked(record):
    Path("pid").write_text(str(os.getpid()))
    return {"cents": record["price"] * 100}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A config in the current directory, with the module that it imports from and its records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    (tmp_path / "in.jsonl").write_text('{"price": 1}\n{"prize": 2}\n', encoding="utf-8")

    def write(text=CONFIG):
        path = tmp_path / "pipelines.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def pool_of(path):
    return pool_from_config(load_config(path, installed()))


async def test_a_pipeline_of_a_config_runs_in_another_process(project, tmp_path):
    """Records, letters and counts are as in the worker; the code ran elsewhere."""
    pool = pool_of(project())
    await pool.run()

    status = pool.pipelines[0].status
    assert (status.totals.written, status.totals.dead, status.dlq["dead"]) == (1, 1, 1)
    assert (tmp_path / "out.jsonl").read_text() == '{"cents":100}\n'
    assert int((tmp_path / "pid").read_text()) != os.getpid()
    assert pool.settings.max_processes == 1


async def test_a_config_that_is_edited_meanwhile_is_that_of_the_start(project, tmp_path):
    """What was checked when the worker started is what runs, however broken the file is by then."""
    path = project()
    pool = pool_of(path)
    path.write_text("format = ", encoding="utf-8")
    await pool.run()

    assert pool.pipelines[0].status.last_run.outcome is Outcome.SUCCESS


async def test_stores_in_memory_are_refused_before_anything_runs(project):
    """The worker does not start with a pipeline whose dead letters would go with its process."""
    pool = pool_of(project(CONFIG.replace('path = "dead.db"', 'store = "memory"\n[state]\nstore = "memory"')))

    with pytest.raises(DeploymentError, match="'prices': isolation=\"process\" and MemoryDlq and MemoryState do not"):
        await pool.run()


def test_check_tells_of_it(project, capsys):
    """`agora check` says the same."""
    project(CONFIG.replace('path = "dead.db"', 'store = "memory"'))
    with pytest.raises(SystemExit) as end:
        main.main(["check", "--config", "pipelines.toml"])

    assert end.value.code == 2
    out = capsys.readouterr()
    assert "MemoryDlq do not go together" in out.out + out.err


def test_a_word_that_is_none_is_refused(project):
    """With the file, the line and a hint."""
    with pytest.raises(ConfigError, match="'none' or 'process', not 'proces'; did you mean 'process'"):
        load_config(project(CONFIG.replace('"process"', '"proces"')), installed())


def test_one_run_by_hand_is_in_another_process_too(project, capsys, tmp_path):
    """`agora run` keeps the isolation."""
    project()
    with pytest.raises(SystemExit):
        main.main(["run", "--config", "pipelines.toml", "--json"])

    assert json.loads(capsys.readouterr().out)["written"] == 1
    assert int((tmp_path / "pid").read_text()) != os.getpid()
