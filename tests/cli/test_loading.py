"""Each mistake in a worker module gets one sentence with what, where and what to do, and nothing is started."""

import pytest


def refused(project, *words):
    """Return the sentence with which `agora worker --list` refuses the project."""
    result = project.agora("worker", "--list", *words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("agora: ")
    return result.stderr


def test_no_worker_py_shows_what_to_write(project):
    """Without worker.py the sentence names the directory and shows the ten lines that make one."""
    said = refused(project)

    assert "no worker.py in" in said
    assert "def get_worker() -> WorkerPool:" in said


def test_the_example_in_that_sentence_is_a_worker(project):
    """What the sentence shows can be saved as worker.py as it is."""
    lines = [line.removeprefix("    ") for line in refused(project).splitlines()[1:]]
    project.write("my_pipelines.py", "async def build_pipeline(): ...")
    project.write("worker.py", "\n".join(lines))

    assert "ingest  every 6h" in project.agora("worker", "--list").stdout


def test_worker_py_is_found_in_src(project):
    """src/worker.py counts as the project's worker, and imports what stands beside it."""
    project.write("src/worker.py", "from parts import *\n" + project.worker)
    project.write("src/parts.py", "")

    assert project.agora("worker", "--list").exit_code == 0


@pytest.mark.parametrize("module", ["pipelines.worker", "pipelines/worker.py", "./pipelines/worker.py"])
def test_a_module_is_named_with_dots_or_as_a_path(project, module):
    """`--module` takes both ways to name a file."""
    project.write("pipelines/worker.py", project.worker)

    assert "ingest" in project.agora("worker", "--list", "--module", module).stdout


def test_a_path_that_has_the_name_of_a_module_does_not_replace_it(project):
    """A worker called json.py leaves the real json alone."""
    project.write("parts/json.py", project.worker)

    assert "ingest" in project.agora("worker", "--list", "--module", "parts/json.py", "--json").stdout


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("nope", "no module named 'nope' for the worker module 'nope'"),
        ("pipelines.toml", "; a config is given as --config pipelines.toml"),
        ("workr", "did you mean 'workre'?"),
        ("nope.py", "cannot load the worker module 'nope.py': no such file"),
        ("folder.py", "cannot load the worker module 'folder.py': it is a directory"),
    ],
)
def test_a_module_that_is_not_there(project, module, said):
    """The sentence says what was looked for, where, and what has a name like it."""
    project.write("workre.py", "")
    (project.root / "folder.py").mkdir()

    assert said in refused(project, "--module", module)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "worker.py has no get_worker(); it defines nothing"),
        (
            "def get_workers(): ...",
            "it has get_workers; write `def get_worker() -> WorkerPool`; did you mean 'get_workers'?",
        ),
        ("from agora.runner import WorkerPool\npool = WorkerPool()", "it has the WorkerPool 'pool'"),
        ("get_worker = 7", "get_worker in worker.py is a int, not a function"),
        ("def get_worker(env): ...", "must take no argument, and asks for env"),
        ("def get_worker(): ...", "returned None, not a WorkerPool; is `return pool` missing?"),
        ("def get_worker(): return [1]", "returned a list, not a WorkerPool"),
        ("async def get_worker(): return 'pool'", "returned a str, not a WorkerPool"),
        ("from agora.runner import WorkerPool\ndef get_worker(): return WorkerPool()", "has no pipelines; register"),
    ],
)
def test_a_get_worker_that_is_not_one(project, text, said):
    """No get_worker, one of another kind, or another result is refused with what there is instead."""
    project.write("worker.py", text)

    assert said in refused(project)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nimport pandaz", "worker.py:1: cannot import 'pandaz': ModuleNotFoundError: No module named 'pandaz'"),
        ("x = 1\nfrom json import lods", "worker.py:2: cannot import 'json'"),
        ("def f(:\n", "worker.py:1: not valid Python: "),
        ("x = 1\nraise ValueError('no  \\x1b[31m luck')", "worker.py:2: ValueError: no \\x1b[31m luck"),
        ("import sys\nsys.exit(3)", "worker.py:2: it calls sys.exit(3) while worker.py is imported"),
        ("def again(): again()\nagain()", "worker.py:1: it calls or imports itself without end"),
        ("import one", "two.py:1: cannot import 'one'"),
        ("x = 1\nurl = 'db://me:hunter2@host'\nraise OSError(url)", "db://me:***@host"),
        ("from agora.runner import Schedule\nSchedule.every(hours=-1)", "worker.py:2: hours must be more than 0"),
        (
            "from agora.runner import *\ndef get_worker():\n    pool = WorkerPol()",
            "worker.py:3: NameError: name 'WorkerPol' is not defined",
        ),
        ("async def get_worker():\n    raise KeyError('x')", "worker.py:2: KeyError: 'x'"),
        (
            "import asyncio\nasync def get_worker():\n    await asyncio.sleep(0)\n    asyncio.run(asyncio.sleep(0))",
            "worker.py:4: RuntimeError: asyncio.run() cannot be called",
        ),
        ("import sys\nsys.stdout.write\nexit()", "worker.py:3: it calls sys.exit(None)"),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine 'sleep' was never awaited")
def test_a_worker_that_raises(project, text, said):
    """Whatever the user's code raises is told with their file and line, and with no secret."""
    project.write("worker.py", text)
    project.write("one.py", "from two import x")
    project.write("two.py", "from one import y")

    assert said in refused(project)


def test_an_error_deeper_down_is_told_where_it_is(project):
    """The line is the innermost of the user's, not that of worker.py."""
    project.write("worker.py", "import parts.deep")
    project.write("parts/deep.py", "\n\nimport nothing_like_this")

    assert "parts/deep.py:1: cannot import 'nothing_like_this'" in refused(project).replace("\\", "/")


def test_a_worker_that_prints_does_not_spoil_the_json(project):
    """What the user's module prints goes to standard error."""
    project.write("worker.py", "print('hello')\n" + project.worker)

    result = project.agora("worker", "--list", "--json")

    assert result.stdout.startswith("{")
    assert "hello" in result.stderr


def test_an_async_get_worker_is_awaited(project):
    """get_worker may be a coroutine function."""
    project.write("worker.py", project.worker.replace("def get_worker", "async def get_worker"))

    assert "ingest" in project.agora("worker", "--list").stdout


def test_a_worker_that_ran_a_loop_of_its_own_is_fine(project):
    """asyncio.run() at import does not stand in the way."""
    project.write("worker.py", "import asyncio\nasyncio.run(asyncio.sleep(0))\n" + project.worker)

    assert project.agora("worker").exit_code == 0
    assert project.lines("out.txt") == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("register", "said"),
    [
        ("pipeline_id='a b'", "pipeline_id must be 1 to 128 letters"),
        ("pipeline_id='twice'", "two pipelines have the id 'twice'"),
        ("pipeline_id='x', max_records=0", "max_records must be 1 or more"),
        ("pipeline_id='x', error_backoff_seconds=float('nan')", "error_backoff_seconds must be"),
        ("pipeline_id='x', run_timeout_seconds=-1", "run_timeout_seconds must be"),
    ],
)
def test_wrong_arguments_are_told_with_the_users_line(project, register, said):
    """Duplicate and illegal ids and nonsense numbers are refused where they are written."""
    text = (
        project.pipeline
        + f"""
def get_worker():
    pool = WorkerPool()
    pool.register(ScheduledPipeline(factory=build, schedule=Schedule.once(), pipeline_id="twice"))
    pool.register(ScheduledPipeline(factory=build, schedule=Schedule.once(), {register}))
    return pool
"""
    )
    project.write("worker.py", text)

    told = refused(project)

    assert said in told
    assert "worker.py:" in told


def test_two_places_are_refused(project):
    """--module and --config together are a contradiction."""
    assert "were both given" in refused(project, "--module", "worker", "--config", "pipelines.toml")
