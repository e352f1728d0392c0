"""Config files: what is right builds pipelines, what is wrong is told with file, line, key and hint, all at once."""

# ruff: noqa: E501  # the sentences stand whole, so that they can be searched for

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from agora_core.registry.config import Config, load_config
from agora_core.registry.discovery import discover
from agora_core.registry.plugins import Plugins, assemble
from agora_core.spec.errors import ConfigError, DeploymentError

STEPS = """
    from agora_core.spec.markers import hookimpl
    from agora_core.spec.offers import Choice, Offer

    WRITTEN = []

    class Numbers:
        def __init__(self, count: int = 3, first: int = 0, pipeline_id: str = ""):
            self.count, self.first, self.pipeline_id = count, first, pipeline_id
        async def stream(self):
            for number in range(self.first, self.first + self.count):
                yield number

    class Memory:
        def write(self, record):
            WRITTEN.append(record)

    class Slotted:
        __slots__ = ()
        def process(self, record, ctx):
            return record

    class Add:
        def __init__(self, amount: int = 1):
            self.amount = amount
        def process(self, record, ctx):
            return record + self.amount

    class Named(Add):
        def __init__(self, name: str = "x", amount: int = 1):
            super().__init__(amount)
            self.name = name

    class Letters:
        def __init__(self, path: str = "", retries: int = 1):
            self.path, self.retries = path, retries
        async def open(self): ...
        async def close(self): ...
        async def put(self, letters): ...

    class State:
        async def open(self): ...
        async def close(self): ...
        async def checkpoint(self, pipeline_id): ...
        async def save_checkpoint(self, pipeline_id, position): ...

    class Patience:
        def delay(self, failures, random): ...

    def double(record):
        return 2 * record

    READY = Add(10)
    PATIENCE = Patience()
    WEEKLY = Choice("every", {"days": 7})

    @hookimpl
    def agora_sources():
        return [Offer("numbers", "", Numbers)]

    @hookimpl
    def agora_sinks():
        return [Offer("memory_list", "", Memory)]

    @hookimpl
    def agora_middlewares():
        return [Offer("add", "", Add), Offer("named", "", Named), Offer("slotted", "", Slotted)]

    @hookimpl
    def agora_dlq_stores():
        return [Offer("letters", "", Letters)]

    @hookimpl
    def agora_state_stores():
        return [Offer("kept", "", State)]
"""

GOOD = """\
format = "agora/v1"
[dlq]
store = "letters"
[pipelines.a.source]
type = "numbers"
[[pipelines.a.sinks]]
type = "memory_list"
"""

Load = Callable[[str], Config]


@pytest.fixture
def load(install, assembled: Callable[[], Plugins], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a config from the current directory, with plugins for every kind of part."""
    install(points="steps = user_steps", user_steps=STEPS)
    plugins = assembled()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])

    def _load(text: str) -> Config:
        path = Path("p.toml")
        path.write_text(dedent(text), encoding="utf-8")
        return load_config(path, plugins)

    return _load


@pytest.fixture
def told(load: Load) -> Callable[[str], list[str]]:
    """Return all that is wrong with a config."""

    def _told(text: str) -> list[str]:
        with pytest.raises(DeploymentError) as caught:
            load(text)
        return list(caught.value.problems)

    return _told


def test_a_config_builds_a_pipeline_that_runs(load, install):
    """Source, middlewares by name and by import, sinks; the stages bear the names that were given."""
    config = load(
        GOOD
        + """
[[pipelines.a.middlewares]]
type = "add"
amount = 5
name = "five"
[[pipelines.a.middlewares]]
import = "user_steps:Add"
amount = 2
[[pipelines.a.middlewares]]
import = "user_steps:READY"
[[pipelines.a.middlewares]]
type = "named"
name = "own"
"""
    )
    bound = config.pipelines["a"].build()

    summary = bound.run_sync()

    assert bound.id == "a"
    assert bound.stages == (
        "source_record",
        "middleware:five",
        "middleware:add",
        "middleware:add-2",
        "middleware:own",
        "sink_write",
    )
    assert summary.written == 3
    assert sys.modules["user_steps"].WRITTEN == [18, 19, 20]


def test_a_middleware_says_how_many_records_may_be_in_it(load):
    """For a part by name or by import; without the keys it is the part's own to say."""
    config = load(
        GOOD
        + """
[[pipelines.a.middlewares]]
type = "add"
concurrency = 8
ordered = false
[[pipelines.a.middlewares]]
import = "user_steps:Add"
concurrency = 2
[[pipelines.a.middlewares]]
type = "add"
"""
    )

    steps = config.pipelines["a"].build().steps

    assert [(step.concurrency, step.ordered) for step in steps] == [(8, False), (2, True), (1, True)]


def test_an_option_that_has_the_name_of_a_key_stands_in_options(load):
    """`type` names the part; a part's own options may stand beside it or in `options`, where any name has room."""
    config = load(
        GOOD
        + """
[[pipelines.a.middlewares]]
type = "validate"
options = { schema = { import = "builtins:int" } }
[[pipelines.a.middlewares]]
import = "agora_core.builtin.steps:Validate"
schema = { import = "builtins:int" }
"""
    )

    assert config.pipelines["a"].build().run_sync().written == 3


def test_each_build_is_fresh_and_the_stores_are_shared(load):
    """Parts are made anew for each run; the store of dead letters is one object in the whole config."""
    config = load(GOOD + '[pipelines.b]\nsource = { type = "numbers" }\nsinks = [{ type = "memory_list" }]\n')
    first, second = config.pipelines["a"].build(), config.pipelines["a"].build()

    assert first.source is not second.source
    assert first.config.dlq is second.config.dlq
    assert config.pipelines["a"].dlq() is first.config.dlq
    assert config.pipelines["b"].dlq() is first.config.dlq
    assert first.source.pipeline_id == "a"


def test_a_pipeline_may_have_a_store_of_its_own_or_none(load):
    """Equal tables are one store, so that no file has two writers."""
    other = """
[pipelines.{name}]
source = {{ type = "numbers" }}
sinks = [{{ type = "memory_list" }}]
dlq = {dlq}
"""
    config = load(
        GOOD
        + other.format(name="b", dlq='{ store = "letters", path = "b.db" }')
        + other.format(name="c", dlq='{ store = "letters", path = "b.db" }')
        + other.format(name="d", dlq='{ store = "none" }')
    )
    stores = {name: pipeline.dlq() for name, pipeline in config.pipelines.items()}

    assert stores["b"] is stores["c"] is not stores["a"]
    assert stores["b"].path == "b.db"
    assert stores["d"] is None


def test_the_defaults(load):
    """Without tables: sqlite dead letters in .agora, no state, one run, five failures."""
    pipeline = load(GOOD.replace('[dlq]\nstore = "letters"\n', "")).pipelines["a"]

    assert str(pipeline.dlq().path) == ".agora/dead_letters.db"
    assert pipeline.build().config.checkpoint is None
    assert str(pipeline.schedule) == "once"
    assert (pipeline.max_records, pipeline.run_timeout_seconds) == (None, None)
    assert (pipeline.retry.max_consecutive_errors, pipeline.retry.error_backoff_seconds) == (5, 60.0)
    assert pipeline.retry.policy is None


def test_everything_that_can_be_set_is_read(load):
    """Worker, state, limits, schedule, retry and delivery arrive typed."""
    config = load(
        GOOD
        + """
[worker]
health_port = 8080
graceful_shutdown_timeout = 5
[state]
store = "kept"
[pipelines.a]
max_records = 10
run_timeout_seconds = 60
[pipelines.a.schedule]
type = "every"
hours = 6
[pipelines.a.retry]
max_consecutive_errors = 2
error_backoff_seconds = 1.5
policy = "constant"
[pipelines.a.delivery]
batch_size = 10
dead_letter_on = [{ import = "builtins:ConnectionError" }]
"""
    )
    pipeline = config.pipelines["a"]
    delivery = pipeline.build().config

    assert (config.worker.health_port, config.worker.graceful_shutdown_timeout) == (8080, 5)
    assert (pipeline.max_records, pipeline.run_timeout_seconds) == (10, 60)
    assert (pipeline.schedule.name, pipeline.schedule.options) == ("every", {"hours": 6})
    assert (pipeline.retry.max_consecutive_errors, str(pipeline.retry.policy)) == (2, "constant")
    assert delivery.batch_size == 10
    assert tuple(delivery.dead_letter_on) == (ConnectionError,)
    assert delivery.checkpoint is not None


def test_schedule_and_policy_can_be_imported_objects(load):
    """A Schedule made in code, a policy with `delay`."""
    pipeline = load(
        GOOD
        + """
[pipelines.a.schedule]
import = "user_steps:WEEKLY"
[pipelines.a.retry]
policy = { import = "user_steps:PATIENCE" }
"""
    ).pipelines["a"]

    assert str(pipeline.schedule) == "every days=7"
    assert type(pipeline.retry.policy).__name__ == "Patience"


def test_numbers_may_come_from_the_environment(load, monkeypatch):
    """Text from outside becomes the number that is asked for; secrets stay hidden in every repr."""
    monkeypatch.setenv("PORT", "9090")
    monkeypatch.setenv("COUNT", "2")
    monkeypatch.setenv("REQUIRED", "false")
    monkeypatch.setenv("TOKEN", "hunter2-hunter2")
    config = load(
        GOOD.replace('type = "numbers"', 'type = "numbers"\ncount = { env = "COUNT" }')
        + """
[worker]
health_port = { env = "PORT" }
health_required = { env = "REQUIRED" }
health_auth_token = { env = "TOKEN" }
stall_seconds = { env = "COUNT" }
"""
    )

    assert (config.worker.health_port, config.worker.health_required, config.worker.stall_seconds) == (9090, False, 2)
    assert config.worker.health_auth_token == "hunter2-hunter2"
    assert config.pipelines["a"].build().source.count == 2
    assert "hunter2" not in repr(config)


def test_a_schedule_whose_plugin_is_missing_is_written_and_listed(load):
    """The worker refuses it when it is to run; until then it prints as it was written."""
    pipeline = load(
        GOOD
        + '[pipelines.a.schedule]\ntype = "cron"\nexpression = "0 0 * * *"\n'.replace("cron", "lunar").replace(
            "lunar", "cron"
        )
    ).pipelines["a"]

    assert pipeline.schedule.name == "cron"
    assert pipeline.schedule.options == {"expression": "0 0 * * *"}


def test_a_cron_schedule_without_any_plugin_knows_its_remedy(install, tmp_path, monkeypatch):
    """The name is known, though nobody offers it here."""

    install(points="steps = user_steps", user_steps=STEPS)
    plugins = assemble([plugin for plugin in discover() if plugin.name != "cron"])
    path = tmp_path / "p.toml"
    path.write_text(GOOD + '[pipelines.a.schedule]\ntype = "cron"\nexpression = "0 0 * * *"\n', encoding="utf-8")

    schedule = load_config(path, plugins).pipelines["a"].schedule

    assert schedule.remedy == "pip install 'agora-etl-plugins[cron]'"


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


PIPELINE_KEYS = (
    "source, middlewares, sinks, schedule, retry, dlq, delivery, max_records, run_timeout_seconds, resources, priority, "
    "isolation"
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'p.toml:1: format is missing; write format = "agora/v1" on the first line'),
        ("x = 1\nformat = 'agora/1'", "p.toml:2: format must be 'agora/v1', not 'agora/1'; did you mean 'agora/v1'?"),
        ("format = 1", "p.toml:1: format must be 'agora/v1', not 1"),
        ('format = "agora/v1"', "p.toml:1: there is no pipeline; add [pipelines.NAME] with a source and sinks"),
        ('format = "agora/v1"\npipelines = 3', "p.toml:2: [pipelines] must be a table, not 3"),
        (GOOD + "[workr]", "p.toml:8: the file: no key 'workr'; known: format, worker, dlq, state, pipelines; did you mean 'worker'?"),
        (GOOD + "[worker]\nhealth_prt = 1", "did you mean 'health_port'?"),
        (GOOD + "[worker]\nhealth_port = true", "p.toml:9: [worker]: the key 'health_port' must be a whole number, not True"),
        (GOOD + "[worker]\nhealth_port = 70000", "p.toml:9: [worker]: health_port must be a port from 0 to 65535, not 70000"),
        (GOOD + "[worker]\nhealth_host = 3", "p.toml:9: [worker]: the key 'health_host' must be text, not 3"),
        (GOOD + "[worker]\nhealth_host = ''", "p.toml:9: [worker]: health_host must not be empty; leave it out for the default"),
        (GOOD + "[worker]\nstall_seconds = nan", "p.toml:9: [worker]: stall_seconds must be a finite number"),
        (GOOD + "[worker]\nstall_seconds = 0", "p.toml:9: [worker]: stall_seconds must be more than 0"),
        (GOOD + "[worker]\nstall_seconds = '1'", "p.toml:9: [worker]: the key 'stall_seconds' must be a number, not '1'"),
        (GOOD + "[worker]\ngraceful_shutdown_timeout = -1", "p.toml:9: [worker]: graceful_shutdown_timeout must be"),
        (GOOD + "[worker]\nhealth_auth_token = { env = 'NOPE' }", "p.toml:9: the environment variable 'NOPE' is not set"),
        (GOOD + "[worker]\nhealth_auth_token = { file = 'nope' }", "p.toml:9: the file 'nope' cannot be read: No such file"),
        ("worker = 1\n" + GOOD, "p.toml:1: [worker] must be a table, not 1"),
        (GOOD + "[pipelines.a]\nmax_record = 1", f"p.toml:9: [pipelines.a]: no key 'max_record'; known: {PIPELINE_KEYS}; did you mean 'max_records'?"),
        (GOOD + "[pipelines.a]\nmax_records = 0", "p.toml:9: [pipelines.a]: max_records must be 1 or more, not 0"),
        (GOOD + "[pipelines.a]\nmax_records = 1.5", "p.toml:9: [pipelines.a]: the key 'max_records' must be a whole number, not 1.5"),
        (GOOD + "[pipelines.a]\nrun_timeout_seconds = inf", "p.toml:9: [pipelines.a]: run_timeout_seconds must be a finite number"),
        (GOOD + "[pipelines.a]\nresources = ['db']", "p.toml:9: [pipelines.a]: resources: the worker has no resource 'db'; known: none"),
        (GOOD + "[worker]\nresources = { warehouse = 1 }\n[pipelines.a]\nresources = ['warehose']", "did you mean 'warehouse'?"),
        (GOOD + "[worker]\nresources = { db = 1 }\n[pipelines.a]\nresources = { db = 2 }", "p.toml:11: [pipelines.a]: resources: a run needs 2 of 'db', and the worker has 1"),
        (GOOD + "[pipelines.a]\nresources = 'db'", "p.toml:9: [pipelines.a]: the key 'resources' must be a table or a list, not 'db'"),
        (GOOD + "[pipelines.a]\nresources = ['db', 'db']", "p.toml:9: [pipelines.a]: resources name 'db' twice; write {'db': 2} for so many"),
        (GOOD + "[pipelines.a]\nresources = { db = 0 }", "p.toml:9: [pipelines.a]: resources: 'db' must be 1 or more, not 0"),
        (GOOD + "[pipelines.a]\npriority = 1.5", "p.toml:9: [pipelines.a]: the key 'priority' must be a whole number, not 1.5"),
        (GOOD + "[worker]\nmax_concurrent_runs = 0", "p.toml:9: [worker]: max_concurrent_runs must be 1 or more, not 0"),
        (GOOD + "[worker]\nresources = ['db']", "p.toml:9: [worker]: the key 'resources' must be a table, not ['db']"),
        (GOOD + "[worker]\nresources = { 'a b' = 1 }", "p.toml:8: [worker]: a resource's name must be 1 to 128 letters, digits, '_', '.' or '-', not 'a b'"),
        (GOOD + "[pipelines.a.retry]\non_exhausted = 'rest'", "p.toml:9: [pipelines.a.retry]: the key 'on_exhausted' must be 'stop' or 'cool_down', not 'rest'"),
        (GOOD + "[pipelines.a.retry]\ncool_down_seconds = 0", "p.toml:9: [pipelines.a.retry]: cool_down_seconds must be more than 0"),
        (GOOD + "[pipelines.'a b']\n", "p.toml:8: a pipeline's name is 1 to 128 of the characters A-Z a-z 0-9 _ . -, not 'a b'"),
        (GOOD + "[pipelines]\nb = 1", "p.toml:9: [pipelines.b] must be a table, not 1"),
        (GOOD + "[pipelines.b]", "p.toml:8: [pipelines.b] has no source; add [pipelines.b.source]"),
        (GOOD + "[pipelines.b]", "p.toml:8: [pipelines.b] has no sink; add [[pipelines.b.sinks]]"),
        (changed("[[pipelines.a.sinks]]", "[pipelines.a.sinks]"), "p.toml:6: [pipelines.a.sinks] must be an array of tables; write [[pipelines.a.sinks]]"),
        (changed('type = "numbers"', "x = 1"), "p.toml:4: [pipelines.a.source]: type is missing; known: "),
        (changed('type = "numbers"', "type = 1"), "p.toml:5: [pipelines.a.source]: type must be text, not 1; known: "),
        (changed('type = "numbers"', 'type = "number"'), "p.toml:4: no source named 'number'; known: "),
        (changed('type = "numbers"', 'type = "number"'), "did you mean 'numbers'?"),
        (changed('type = "numbers"', 'type = "numbers"\ncuont = 1'), "p.toml:6: source 'numbers': no option 'cuont'; known: count, first, pipeline_id; did you mean 'count'?"),
        (changed('type = "numbers"', 'type = "numbers"\ncount = "1"'), "p.toml:6: source 'numbers': the option 'count' must be a whole number, not '1'"),
        (changed('type = "numbers"', 'type = "numbers"\ncount = { env = "WORD" }'), "p.toml:6: source 'numbers': the option 'count' must be a whole number, not '***'"),
        (changed('type = "numbers"', 'type = "numbers"\ncount = { env = "NOPE" }'), "p.toml:6: the environment variable 'NOPE' is not set"),
        (changed('type = "numbers"', 'import = "user_steps:Numbrs"'), "p.toml:5: 'user_steps:Numbrs': there is no 'Numbrs' in it; did you mean 'Numbers'?"),
        (changed('type = "numbers"', "import = 3"), "p.toml:5: import must be \"module:attribute\", not 3"),
        (changed('type = "numbers"', 'import = "user_steps:Numbers"\nx = 1'), "p.toml:6: 'user_steps:Numbers': no option 'x'; known: count, first, pipeline_id"),
        (changed('type = "numbers"', 'import = "user_steps:READY"\nx = 1'), "p.toml:6: 'user_steps:READY' is an object, not a class or a function: it takes no 'x'"),
        (GOOD + "[[pipelines.a.middlewares]]\nimport = 'user_steps:double'", 'for a function of one record write type = "map", function = { import = "user_steps:double" }'),
        (GOOD + "[[pipelines.a.middlewares]]\ntype = 'add'\nname = 3", "p.toml:10: [[pipelines.a.middlewares]]: name must be text, not 3"),
        (GOOD + "[[pipelines.a.middlewares]]\ntype = 'add'\nconcurrency = 0", "p.toml:10: [[pipelines.a.middlewares]]: concurrency must be a whole number from 1 to 10000, not 0"),
        (GOOD + "[[pipelines.a.middlewares]]\ntype = 'add'\nordered = 1", "p.toml:10: [[pipelines.a.middlewares]]: ordered must be True or False, not 1"),
        (GOOD + "[pipelines.a.schedule]\ntype = 'evry'", "p.toml:8: no schedule type named 'evry'; known: "),
        (GOOD + "[pipelines.a.schedule]\nhours = 1", "p.toml:8: [pipelines.a.schedule]: type is missing; known: "),
        (GOOD + "[pipelines.a.schedule]\ntype = 'every'\nhour = 6", "p.toml:10: schedule type 'every': no option 'hour'; known: anchor, days, end, exclude, hours, jitter, max_runs, minutes, misfire, misfire_window_seconds, seconds, start, timezone; did you mean 'hours'?"),
        (GOOD + "[pipelines.a.schedule]\ntype = 'every'\nhours = -6", "p.toml:10: schedule type 'every': hours must be a finite number, at least 0, not -6"),
        (GOOD + "[pipelines.a.schedule]\ntype = 'every'", "p.toml:8: schedule type 'every': an interval must be more than 0"),
        (GOOD + "[pipelines.a.schedule]\nimport = 'user_steps:READY'", "p.toml:8: 'user_steps:READY' is not a Schedule"),
        (GOOD + "[pipelines.a.retry]\nmax_errors = 1", "did you mean 'max_consecutive_errors'?"),
        (GOOD + "[pipelines.a.retry]\nmax_consecutive_errors = 0", "p.toml:9: [pipelines.a.retry]: max_consecutive_errors must be 1 or more, not 0"),
        (GOOD + "[pipelines.a.retry]\nerror_backoff_seconds = 0", "p.toml:9: [pipelines.a.retry]: error_backoff_seconds must be more than 0"),
        (GOOD + "[pipelines.a.retry]\npolicy = 'linear'", "p.toml:8: no backoff policy named 'linear'; known: constant, exponential"),
        (GOOD + "[pipelines.a.retry]\npolicy = 3", "p.toml:9: [pipelines.a.retry]: policy must be a name or { import = \"module:attr\" }, not 3"),
        (GOOD + "[pipelines.a.retry]\nfactor = 0.5", "p.toml:9: backoff policy 'exponential': factor must be a finite number, at least 1, not 0.5"),
        (GOOD + "[pipelines.a.retry]\npolicy = { import = 'user_steps:READY' }", "p.toml:9: 'user_steps:READY' is no backoff policy: it has no delay(failures, random)"),
        (GOOD + "[pipelines.a.retry]\npolicy = { import = 'user_steps:Nope' }", "p.toml:9: 'user_steps:Nope': there is no 'Nope' in it"),
        (GOOD + "[pipelines.a.delivery]\nbatch_sise = 1", "did you mean 'batch_size'?"),
        (GOOD + "[pipelines.a.delivery]\nbatch_size = 0", "p.toml:9: [pipelines.a.delivery]: batch_size must be"),
        (GOOD + "[pipelines.a.delivery]\ndlq = 'x'", "p.toml:9: [pipelines.a.delivery]: no key 'dlq'; write it as [pipelines.NAME.dlq]"),
        (GOOD + "[pipelines.a.delivery]\ncheckpoint = 'x'", "p.toml:9: [pipelines.a.delivery]: no key 'checkpoint'; write it as [state]"),
        (changed('store = "letters"', 'store = "leters"'), "did you mean 'letters'?"),
        (changed('store = "letters"', 'store = "none"\npath = "x"'), "p.toml:4: [dlq]: no key 'path'; known: store"),
        (changed('store = "letters"', 'paht = "x"'), "p.toml:3: dead-letter store 'sqlite': no option 'paht'"),
        (GOOD + "[state]\nstore = 'none'\nx = 1", "p.toml:10: [state]: no key 'x'; known: store"),
        (GOOD + "[state]\nstore = 'keept'", "did you mean 'kept'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_line_key_and_hint(told, monkeypatch, text, sentence):
    """Each mistake has its sentence."""
    monkeypatch.setenv("WORD", "three")

    problems = told(text)

    assert any(problem.startswith(sentence) or problem.endswith(sentence) for problem in problems), problems
    assert "three" not in str(problems)


def test_all_problems_are_told_at_once_in_the_order_of_their_lines(told):
    """Nobody is sent back ten times; and a file of nothing but mistakes is told in bounded length."""
    problems = told(GOOD + "[worker]\na = 1\n[pipelines.a.schedule]\ntype = 'x'\n[pipelines.b]\n")
    flood = told(GOOD + "[worker]\n" + "".join(f"k{n} = 1\n" for n in range(500)))

    assert [problem.split(":")[1] for problem in problems] == ["9", "10", "12", "12"]
    assert len(flood) == 21
    assert flood[-1] == "p.toml: and 480 more"


def test_one_mistake_is_told_once(told):
    """A value that cannot be had draws no complaint about what lacks it."""
    problems = told(
        GOOD + "[pipelines.a.schedule]\ntype = 'every'\nhours = { env = 'NOPE' }\n"
        "[pipelines.a.delivery]\nbatch_size = { env = 'NOPE' }\n[pipelines.a.retry]\nfactor = { env = 'NOPE' }\n"
    )

    assert [problem.partition(": ")[2] for problem in problems] == ["the environment variable 'NOPE' is not set"] * 3


def test_a_name_that_a_part_cannot_bear_is_told_when_it_is_built(load):
    """A class with slots and no `name` is no place to keep one."""
    config = load(GOOD + "[[pipelines.a.middlewares]]\ntype = 'slotted'\nname = 'x'\n")

    with pytest.raises(ConfigError, match="a Slotted cannot be given the name 'x'"):
        config.pipelines["a"].build()


def test_a_part_of_a_missing_plugin_is_refused_with_its_remedy(install, tmp_path):
    """The reason and the pip line stand beside the line of the config."""

    install(points="steps = user_steps", user_steps=STEPS)
    install(
        "agora-extra",
        "lake = lake_plugin",
        site="extra",
        extras=("lake",),
        lake_plugin="import no_such_module_anywhere",
    )
    path = tmp_path / "p.toml"
    path.write_text(changed('type = "memory_list"', 'type = "lake"'), encoding="utf-8")

    with pytest.raises(DeploymentError) as caught:
        load_config(path, assemble(discover()))

    assert str(caught.value) == (
        f"{path}:6: sink 'lake' is not available: needs the module 'no_such_module_anywhere', which is not installed; "
        "pip install 'agora-extra[lake]'"
    )


def test_modules_beside_the_config_can_be_imported(assembled, install, tmp_path, monkeypatch):
    """From the config's own directory and from the current one, whichever it is started from."""
    install(points="steps = user_steps", user_steps=STEPS)
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "conf").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "conf" / "beside_config.py").write_text("from user_steps import Numbers", encoding="utf-8")
    (tmp_path / "work" / "beside_cwd.py").write_text("from user_steps import Memory", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "work")
    path = tmp_path / "conf" / "p.toml"
    text = changed('type = "numbers"', 'import = "beside_config:Numbers"')
    path.write_text(text.replace('type = "memory_list"', 'import = "beside_cwd:Memory"'), encoding="utf-8")

    config = load_config(path, assembled())

    assert config.pipelines["a"].build().run_sync().written == 3
