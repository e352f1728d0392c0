"""The real servers that the stores are tested against: a table or prefix of its own for each store, removed again."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from uuid import uuid4

import pytest

POSTGRES = os.environ.get("AGORA_TEST_POSTGRES") or "postgresql://postgres@127.0.0.1:5432/test"
REDIS = os.environ.get("AGORA_TEST_REDIS") or "redis://127.0.0.1:6379/0"
REQUIRED = os.environ.get("AGORA_REQUIRE_SERVICES") == "1"


def reached(what: str, ask: Callable[[], Awaitable[object]]) -> None:
    """Skip the tests of a server that is missing; fail them where it must be there."""

    async def asked() -> None:
        await ask()

    try:
        asyncio.run(asked())
    except Exception as error:
        said = f"no {what} to test with: {type(error).__name__}: {error}"
        if REQUIRED:
            pytest.fail(said)
        pytest.skip(said)


@pytest.fixture(scope="session")
def postgres_dsn() -> str:
    """The address of a PostgreSQL that answers."""
    asyncpg = pytest.importorskip("asyncpg", reason="the extra `postgres` is not installed")

    async def ask() -> None:
        await (await asyncpg.connect(POSTGRES, timeout=5)).close()

    reached("PostgreSQL", ask)
    return POSTGRES


@pytest.fixture
def postgres_schema(postgres_dsn: str) -> Iterator[str]:
    """A schema of the test's own."""
    import asyncpg

    schema = f"agora_test_{uuid4().hex[:12]}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(postgres_dsn, timeout=5)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute(f"CREATE SCHEMA {schema}"))
    yield schema
    asyncio.run(execute(f"DROP SCHEMA {schema} CASCADE"))


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The address of a Redis that answers."""
    redis = pytest.importorskip("redis", reason="the extra `redis` is not installed")

    async def ask() -> None:
        async with redis.asyncio.from_url(REDIS, socket_connect_timeout=5) as client:
            await client.ping()

    reached("Redis", ask)
    return REDIS


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """A prefix of the test's own."""
    import redis

    prefix = f"agora:test:{uuid4().hex[:12]}"
    yield prefix
    with redis.from_url(redis_url) as client:
        keys = list(client.scan_iter(f"{{{prefix}*"))
        if keys:
            client.delete(*keys)
