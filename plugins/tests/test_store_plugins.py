"""The plugins `postgres` and `redis`: what they offer with their extras, as users write it."""

from importlib.util import find_spec

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
