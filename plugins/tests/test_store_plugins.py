"""The plugins `postgres` and `redis`: what they offer with their extras, and what is said of them without."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from agora.plugins import Choice
from agora_core.registry.catalogue import Kind
from agora_core.registry.config import load_config
from agora_core.registry.plugins import installed
from agora_core.spec.errors import ConfigError

STORES = {
    "postgres": ("asyncpg", "dsn", "postgresql://agora:s3cret@127.0.0.1/test", "table"),
    "redis": ("redis", "url", "redis://agora:s3cret@127.0.0.1/0", "prefix"),
}
each = pytest.mark.parametrize("name", STORES)

WITHOUT = """
import sys
sys.modules[sys.argv[2]] = None  # as where it is not installed
from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed
from agora_core.spec.errors import MissingPluginError
from agora_core.spec.offers import Choice
plugins = installed()
print([(one.distribution, one.reason, one.remedy) for one in plugins.missing if one.name == sys.argv[1]])
print("sqlite" in {one.offer.name for one in plugins.catalogue.offers(Kind.DEAD_LETTER_STORE)})
try:
    plugins.catalogue.build(Kind.DEAD_LETTER_STORE, Choice(sys.argv[1], {}, sys.argv[3]))
except MissingPluginError as error:
    print(error)
"""
CONFIG = """
format = "agora/v1"
[dlq]
store = "{name}"
{option} = {{ env = "DLQ_AT" }}
{more}
[pipelines.orders]
source = {{ type = "jsonl", path = "in.jsonl" }}
sinks = [{{ type = "null" }}]
schedule = {{ type = "once" }}
"""


def with_extra(name: str) -> None:
    if find_spec(STORES[name][0]) is None:
        pytest.skip(f"the extra `{name}` is not installed")


def python(code: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=Path(sys.prefix)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@each
def test_without_its_extra_it_is_missing_and_says_what_mends_it(name):
    """The plugin is listed with the pip line, other stores are there, and its use says the same."""
    remedy = f"pip install 'agora-etl-plugins[{name}]'"

    listed, others, use = python(WITHOUT, name, STORES[name][0], remedy)

    assert listed.startswith("[('agora-etl-plugins', ")
    assert remedy in listed
    assert others == "True"
    assert use.startswith(f"dead-letter store '{name}' is not available: ")
    assert remedy in use


@each
def test_listing_it_does_not_import_its_driver(name):
    """`agora worker --list` pays for a driver only where a store is built."""
    code = (
        "import sys; from agora_core.registry.plugins import installed; installed(); print(sys.argv[1] in sys.modules)"
    )

    assert python(code, STORES[name][0]) == ["False"]


@each
def test_it_is_chosen_by_name_in_a_config(name, tmp_path, monkeypatch):
    """Its address comes from the environment, and nothing shows it."""
    with_extra(name)
    _, option, address, where = STORES[name]
    monkeypatch.setenv("DLQ_AT", address)
    path = tmp_path / "pipelines.toml"
    path.write_text(CONFIG.format(name=name, option=option, more=f'{where} = "dead_orders"'), encoding="utf-8")

    store = load_config(path, installed()).pipelines["orders"].dlq()

    assert "dead_orders" in repr(store)
    assert "s3cret" not in repr(store)


@each
def test_it_keeps_state_too(name, tmp_path, monkeypatch):
    """`[state]` names it as `[dlq]` does, with an address that nothing shows."""
    with_extra(name)
    _, option, address, where = STORES[name]
    monkeypatch.setenv("DLQ_AT", address)
    text = CONFIG.format(name=name, option=option, more=f'{where} = "memories"')
    path = tmp_path / "pipelines.toml"
    path.write_text(text.replace("[dlq]", "[state]"), encoding="utf-8")

    load_config(path, installed())
    store = installed().catalogue.build(Kind.STATE_STORE, Choice(name, {option: address, where: "memories"}))

    assert repr(store) == f"{name.capitalize()}State({where}='memories')"


@each
def test_a_wrong_option_is_told_without_the_address(name, tmp_path, monkeypatch):
    """The sentence has the option's name and what it takes."""
    with_extra(name)
    _, option, address, where = STORES[name]
    monkeypatch.setenv("DLQ_AT", address)
    path = tmp_path / "pipelines.toml"
    path.write_text(CONFIG.format(name=name, option=option, more=f'{where}s = "x"'), encoding="utf-8")

    with pytest.raises(ConfigError, match=f"did you mean '{where}'") as caught:
        load_config(path, installed())

    assert "s3cret" not in str(caught.value)


@each
def test_without_any_address_it_says_which_option_is_missing(name):
    """The address has no default: letters must not end in whatever server happens to be near."""
    with_extra(name)

    with pytest.raises(ConfigError, match=f"'{STORES[name][1]}' is required"):
        installed().catalogue.build(Kind.DEAD_LETTER_STORE, Choice(name, {}))
