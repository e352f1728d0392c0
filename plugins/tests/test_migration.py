"""`agora dlq` over the stores of the plugins: letters go from one to the other and back, unchanged."""

import asyncio
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.cli.main import main
from agora_core.spec.letters import Failure, LetterQuery, LetterState
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, JSON_RECORDS, letter

pytestmark = pytest.mark.services

CONFIG = """
format = "agora/v1"
[dlq]
store = "{store}"
{options}
[pipelines.orders]
source = {{ type = "jsonl", path = "in.jsonl" }}
sinks = [{{ type = "null" }}]
schedule = {{ type = "once" }}
"""


async def fill(path):
    store = SqliteDlq(path)
    await store.open()
    await store.put([letter(str(number), record=record) for number, record in enumerate(JSON_RECORDS)])
    await store.put([letter("opaque", record=object()), replace(letter("origin"), origin={"raw": b"\x00\xff"})])
    first, second, third, *_ = await store.find(EVERYTHING)
    await store.lease(LetterQuery(ids=(first.id, second.id)), token="t", lasting=HOUR, limit=2)
    await store.give_back({first.id: Failure(type="OSError", message="again")}, token="t")
    await store.resolve([second.id], token="t", state=LetterState.REPLAYED, run_id="replay-1")
    await store.park(LetterQuery(ids=(third.id,)), note="ask the vendor")
    await store.close()


async def held(path):
    store = SqliteDlq(path)
    await store.open()
    found = [repr(one.with_id(0)) for one in await store.find(EVERYTHING)]
    await store.close()
    return found


def agora(*words, env=None):
    done = CliRunner().invoke(main, ["dlq", *words], prog_name="agora", env=env)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_letters_go_round_and_come_back_unchanged(postgres_dsn, postgres_schema, redis_url, redis_prefix, tmp_path):
    """SQLite to PostgreSQL to Redis to SQLite: every letter is the same, of each state and each kind of record."""
    asyncio.run(fill(tmp_path / "old.db"))
    postgres, redis = tmp_path / "postgres.toml", tmp_path / "redis.toml"
    where = f'dsn = {{ env = "DLQ_POSTGRES" }}\ntable = "{postgres_schema}.letters"'
    postgres.write_text(CONFIG.format(store="postgres", options=where))
    redis.write_text(CONFIG.format(store="redis", options=f'url = {{ env = "DLQ_REDIS" }}\nprefix = "{redis_prefix}"'))
    env = {"DLQ_POSTGRES": postgres_dsn, "DLQ_REDIS": redis_url}

    for source, target in (
        (tmp_path / "old.db", postgres),
        (postgres, redis),
        (redis, tmp_path / "new.db"),
    ):
        done = json.loads(agora("migrate", "--from", str(source), "--to", str(target), "--json", env=env))
        assert (done["copied"], done["different"], done["missing"]) == (len(JSON_RECORDS) + 2, 0, 0)

    assert asyncio.run(held(tmp_path / "new.db")) == asyncio.run(held(tmp_path / "old.db"))


def test_commands_work_on_an_address(redis_url, redis_prefix, tmp_path, monkeypatch):
    """`--store` takes what `migrate` takes, and a server's store is settled and verified as a file is."""
    config = tmp_path / "pipelines.toml"
    config.write_text(CONFIG.format(store="redis", options=f'url = "{redis_url}"\nprefix = "{redis_prefix}"'))
    asyncio.run(fill(tmp_path / "old.db"))
    agora("migrate", "--from", str(tmp_path / "old.db"), "--to", str(config))

    parked = agora("park", "--store", str(config), "--id", "5")
    verified = agora("verify", "--store", str(config))

    assert parked == "parked 1 dead letter\n"
    assert verified == f"nothing is wrong with {len(JSON_RECORDS) + 2} dead letters\n"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_an_address_alone_names_a_store(postgres_dsn, postgres_schema, scheme):
    """Both of PostgreSQL's schemes; a dry run counts what the table of the default name has."""
    mark = "&" if "?" in postgres_dsn else "?"
    address = f"{scheme}://{postgres_dsn.partition('://')[2]}{mark}search_path={postgres_schema}"

    planned = json.loads(
        agora("migrate", "--from", address, "--to", "env:NEW", "--dry-run", "--json", env={"NEW": "x.db"})
    )

    assert planned == {"letters": 0, "states": {}}
