"""Every command ends with a true exit code and, where something is wrong, one sentence instead of a traceback."""

import os
import signal
import subprocess
from pathlib import Path

import click
import pytest

from agora_core.cli.endings import Ended, RefusedError, ending
from agora_core.spec.errors import ConfigError, DeploymentError

FULL = Path("/dev/full")


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Ended(1), 1, ""),
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
        (click.exceptions.Exit(5), 5, ""),
        (ConfigError("no such thing"), 2, "agora: no such thing\n"),
        (ConfigError("a \x1b[31mred\x9b lie"), 2, "agora: a \\x1b[31mred\\x9b lie\n"),
        (RefusedError("the store is gone", code=3), 3, "agora: the store is gone\n"),
        (DeploymentError(["one", "two"]), 2, "agora: one\nagora: two\n"),
        (click.UsageError("Two  Words."), 2, "agora: two Words\n"),
    ],
)
def test_an_error_becomes_a_sentence_and_a_code(error, code, said, capsys):
    """Errors made on purpose are told in one sentence, ends have their code, and neither shows a traceback."""
    assert ending(raising(error)) == code
    assert capsys.readouterr().err == said


def test_a_command_that_returns_is_done():
    """No error is exit code 0."""
    assert ending(lambda: None) == 0


def test_a_bug_keeps_its_traceback():
    """What nobody raised on purpose passes through whole."""
    with pytest.raises(ZeroDivisionError):
        ending(lambda: 1 / 0)


def test_an_error_of_a_file_is_not_taken_for_one_of_the_output():
    """Only what printing raised is quiet: a full disk elsewhere is a bug until somebody handles it."""
    with pytest.raises(OSError, match="No space"):
        ending(raising(OSError(28, "No space left on device")))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nope"], "agora: no such option '--nope'; see agora --help"),
        (
            ["wroker"],
            (
                "agora: no command named 'wroker'; known: check, demo, dlq, pause, plugins, "
                "resume, run, runs, schedule, trigger, version, worker"
            ),
        ),
        (
            ["dlq", "lst"],
            (
                "agora: no command of agora dlq named 'lst'; known: discard, export, import, list, migrate, park, "
                "purge, replay, show, stats, unpark, verify; did you mean 'list'?"
            ),
        ),
        (["schedule", "nxt"], "did you mean 'next'?"),
        (["demo", "--for", "0"], "agora: invalid value for '--for'"),
        (["worker", "--json"], "agora: --json is for --list"),
    ],
)
def test_wrong_words_are_refused_in_our_own_form(project, words, said):
    """A wrong option, command or value is one sentence that says where to read on; exit code 2."""
    result = project.agora(*words)

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "unbuffered"), [(["--help"], ""), (["worker", "--list"], "1"), (["worker", "--list", "--json"], "")]
)
def test_a_reader_that_goes_away_is_no_error(project, words, unbuffered):
    """`agora … | head -1` ends quietly, whether Python buffers or not."""
    project.write("worker.py", project.worker)
    reader, writer = os.pipe()
    os.close(reader)

    done = project.real(*words, stdout=writer, stderr=subprocess.PIPE, env={"PYTHONUNBUFFERED": unbuffered})
    os.close(writer)

    assert done.stderr == ""
    assert done.returncode == 141


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_output_is_one_sentence(project):
    """Standard output that cannot be written is told on standard error, exit code 1."""
    with FULL.open("w") as full:
        done = project.real("--help", stdout=full, stderr=subprocess.PIPE, env={"PYTHONUNBUFFERED": ""})

    assert done.stderr == "agora: cannot write to standard output: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_standard_error_changes_nothing(project):
    """What cannot be told is not told; the exit code says it."""
    with FULL.open("w") as full:
        done = project.real("--nope", stdout=subprocess.PIPE, stderr=full)

    assert done.returncode == 2


def test_closed_streams_change_nothing(project):
    """A program started without standard output and error ends as always."""
    done = subprocess.run(
        ["bash", "-c", f"{os.sys.executable} -m agora version >&- 2>&-; echo $?"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "0\n"


def test_ctrl_c_while_the_users_code_is_imported(project):
    """Ctrl+C in a worker.py that never ends: exit code 130 and no traceback."""
    project.write("worker.py", "open('started', 'w').close()\nwhile True: pass\n")
    process = project.start("worker", "--list")
    while not (project.root / "started").exists():
        assert process.poll() is None

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=20) == 130
    assert project.lines("log.txt") == []


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("dlq re", ["replay"]),
        ("schedule ", ["next", "explain", "simulate", "lint"]),
        ("frob ", None),
        ("dlq frob ", None),
    ],
)
def test_a_shell_completes_commands(project, typed, offered):
    """Names of groups are completed though nothing of theirs is imported; a name that is none yet is no error."""
    words = f"agora {typed}"
    environment = {"_AGORA_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}

    done = project.real(env=environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert offered is None or [line.partition(",")[2] for line in done.stdout.splitlines()] == offered
