"""The documentation is true: its code runs, and no hook, command, option, error or TOML key goes without a word."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from inspect import Parameter, signature
from pathlib import Path

import click
import pytest

import agora
from agora import runner, steps, testing
from agora_core.builtin.exporters.families import PER_PIPELINE
from agora_core.cli.main import main as program
from agora_core.registry.catalogue import Kind, Offered
from agora_core.registry.plugins import installed
from agora_core.spec import errors, hooks, letters

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in [*DOCS.rglob("*.md"), ROOT / "README.md"] if "_build" not in path.parts)
CODE = {"python", "toml", "console", "bash", "sh"}
FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<language>[\w{}-]*)[^\n]*\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """A fenced block and its mark: `file: NAME`, `run`, `run: exit N`, `printed` (by the last run) or `shown: why`."""

    mark: str
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]

    @property
    def exit_code(self) -> int:
        return int(self.mark.partition("exit ")[2] or 0)


def blocks(page: Path) -> Iterator[Block]:
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        yield Block(match["mark"] or "", match["language"], match["text"])


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_code_block_says_what_it_is(page):
    """Code is a file, a command that is run, or shown for a stated reason: none is left untested by accident."""
    if page.name == "README.md":
        known = ("file: ", "run", "shown: ", "install", "tests")
    else:
        known = ("file: ", "run", "shown: ")
    unmarked = [block.text for block in blocks(page) if block.language in CODE and not block.mark.startswith(known)]

    assert unmarked == []


def settled(text: str) -> str:
    """*text* without what differs from run to run: moments and durations."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\b\d+\.\d\ds\b", "<time>", text)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.mark.startswith(("file", "run")) for b in blocks(page))], ids=name
)
def test_the_code_of_a_page_runs(page, tmp_path):
    """The files of a page, saved in order, and its commands, typed in order, end and print as the page says."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AGORA_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    printed = ""
    for block in blocks(page):
        if block.mark.startswith("file: "):
            path = tmp_path / block.mark.removeprefix("file: ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.mark == "printed":
            assert settled(printed) == settled(block.text)
        elif block.mark.startswith("run"):
            printed = ""
            for command in block.commands:
                done = subprocess.run(
                    ["bash", "-c", command],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=90,
                    check=False,
                )
                assert done.returncode == block.exit_code, f"$ {command}\n{done.stdout}{done.stderr}"
                printed += done.stdout


def commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            child = command.get_command(context, word)
            assert child is not None
            yield from commands(child, (*words, word))


COMMANDS = dict(commands(program))


@pytest.mark.parametrize("words", [words for words in COMMANDS if words], ids=" ".join)
def test_every_command_and_option_is_documented(words):
    """docs/reference/cli.md has a heading for each command, and under it each of its options."""
    reference = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    heading = re.search(rf"^#+ .*`agora {' '.join(words)}`.*$", reference, re.MULTILINE)
    assert heading, f"no heading for `agora {' '.join(words)}`"

    section = reference[heading.end() :].partition("\n## ")[0]
    options = [opt for param in COMMANDS[words].params if isinstance(param, click.Option) for opt in param.opts]

    assert [option for option in options if f"`{option}" not in section] == []


@pytest.mark.parametrize("hook", sorted(word for word in vars(hooks) if word.startswith("agora_")))
def test_every_hook_is_documented(hook):
    """docs/reference/hooks.md has each hook in its table."""
    assert f"| `{hook}` |" in (DOCS / "reference" / "hooks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("error", sorted(word for word in vars(errors) if word.endswith("Error")))
def test_every_error_has_a_sentence_of_its_own(error):
    """docs/reference/errors.md shows each error's docstring."""
    assert vars(errors)[error].__doc__


BUILT_IN = [one for kind in Kind for one in installed().catalogue.offers(kind) if one.distribution == "agora-etl"]


def section(page: str, heading: str, level: str) -> str:
    """What stands under the one heading of this level that begins with *heading*, up to the next of its level."""
    found = re.split(rf"^{level} (?={re.escape(heading)})", page, flags=re.MULTILINE)
    assert len(found) == 2, f"{len(found) - 1} headings {level} {heading}"
    return re.split(rf"^#{{2,{len(level)}}} ", found[1], maxsplit=1, flags=re.MULTILINE)[0]


def described(one: Offered) -> str:
    """What docs/reference/parts.md says of a built-in part."""
    page = (DOCS / "reference" / "parts.md").read_text(encoding="utf-8")
    plural = f"{one.kind.capitalize().removesuffix('y')}{'ies' if one.kind.endswith('y') else 's'}"
    return section(section(page, f"{plural}\n", "##"), f"`{one.offer.name}`:", "###")


def default_of(parameter: Parameter) -> str:
    """The default as parts.md writes it: as in TOML, `none` for nothing."""
    value = parameter.default
    if value is Parameter.empty:
        return "required"
    if value is None:
        return "`none`"
    if callable(value):
        return f"`{value.__module__}.{value.__name__}`"
    return f"`{json.dumps(value)}`"


def rows_of(text: str, word: str) -> dict[str, str]:
    """The names and defaults in the table whose first column is headed *word*."""
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text.partition(f"| {word} |")[2], re.MULTILINE))


@pytest.mark.parametrize("one", BUILT_IN, ids=lambda one: f"{one.kind} {one.offer.name}")
def test_every_built_in_part_is_documented(one):
    """docs/reference/parts.md has a heading for each built-in part, and its options with their defaults, no others."""
    text = described(one)
    takes = signature(one.offer.build.target).parameters.values()
    rows = rows_of(text, "option")
    prose = dict(re.findall(r"`(\w+)` \(([^)]+)\)", text))

    assert {**{parameter.name: prose.get(parameter.name) for parameter in takes}, **rows} == {
        parameter.name: default_of(parameter) for parameter in takes
    }


def test_parts_md_has_no_part_that_is_not_built_in():
    """Each heading of parts.md with a name in it is one of a built-in part."""
    page = (DOCS / "reference" / "parts.md").read_text(encoding="utf-8")
    headed = re.findall(r"^### `(\w+)`:", page, re.MULTILINE)

    assert sorted(headed) == sorted(one.offer.name for one in BUILT_IN)


@pytest.mark.parametrize("one", [agora.DeliveryConfig, runner.ScheduledPipeline, runner.WorkerPool])
def test_every_argument_of_the_face_is_documented(one):
    """docs/reference/python.md has a table of the arguments of these classes with their defaults."""
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    rows = rows_of(section(page, f"`{one.__name__}`\n", "###"), "argument")

    assert rows == {parameter.name: default_of(parameter) for parameter in signature(one).parameters.values()}


@pytest.mark.parametrize("face", [agora, runner, steps, testing], ids=lambda face: face.__name__)
def test_every_name_of_the_face_is_documented(face):
    """What users can import is named in the reference."""
    reference = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))

    assert [word for word in face.__all__ if not re.search(rf"(`|\.){word}\b", reference)] == []


@pytest.mark.parametrize("family", [family for family, _ in PER_PIPELINE], ids=lambda family: family.name)
def test_every_metric_is_documented(family):
    """docs/reference/parts.md has each metric of a pipeline in its table."""
    name = f"{family.name}_total" if family.type == "counter" else family.name

    assert f"| `{name}` |" in (DOCS / "reference" / "parts.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("The entry", [field.name for field in fields(letters.DeadLetter)]),
        ("States", list(letters.LetterState)),
        ("Fidelity", list(letters.Fidelity)),
    ],
    ids=["entry", "states", "fidelity"],
)
def test_all_of_a_dead_letter_is_documented(heading, names):
    """docs/reference/dead-letters.md has a row for each field, state and fidelity, and no others."""
    page = (DOCS / "reference" / "dead-letters.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", section(page, f"{heading}\n", "##"), re.MULTILINE)

    assert sorted(rows) == sorted(names)
