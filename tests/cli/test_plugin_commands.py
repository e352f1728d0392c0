"""Plugins add commands through the hook `agora_commands`, found when the user types their name."""

import click
import pytest

from agora_core.cli import plugin_commands
from agora_core.registry.discovery import Found, discover
from agora_core.registry.plugins import assemble
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer


@click.command
@click.argument("name")
def greet(name):
    """Say hello."""
    click.echo(f"hello {name}")


class Greetings:
    """A plugin with a command, and with something that is none."""

    @hookimpl
    def agora_commands(self):
        return [Offer("greet", "says hello", lambda: greet), Offer("odd", "is no command", lambda: "odd")]


@pytest.fixture(autouse=True)
def greetings(monkeypatch):
    found = Found(name="greetings", distribution="seaside", version="0.1", plugin=Greetings())
    plugins = assemble([*discover(), found])
    monkeypatch.setattr(plugin_commands, "installed", lambda: plugins)


def test_a_command_of_a_plugin_is_run_by_its_name(project):
    """Its arguments and its help are its own."""
    assert project.agora("greet", "Ada").stdout == "hello Ada\n"
    assert "Say hello." in project.agora("greet", "--help").stdout


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("odd", "the plugin command 'odd' is a str, not a click.Command"),
        (
            "gret",
            (
                "known: check, demo, dlq, greet, odd, pause, plugins, resume, run, runs, "
                "schedule, trigger, version, worker; did you mean 'greet'?"
            ),
        ),
    ],
)
def test_what_is_no_command_is_refused(project, word, said):
    """A name that nobody offers is refused with all that are known."""
    done = project.agora(word)

    assert done.exit_code == 2
    assert said in done.stderr


def test_the_help_lists_the_programs_own_commands(project):
    """`agora --help` looks for no plugin; completion of a shell works."""
    assert "greet" not in project.agora("--help").stdout
    done = project.agora(env={"_AGORA_COMPLETE": "bash_source"})
    assert "_agora_completion" in done.stdout
