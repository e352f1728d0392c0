"""Connections to PostgreSQL, and what its errors mean for the store's user."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from agora.plugins import ConfigError, StoreError
from agora_plugins.postgres_table import Table
from agora_plugins.server_address import checked_url, named, said_by
from agora_plugins.server_limits import Limits

T = TypeVar("T")

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # for a moment, of a connection that the server has just closed
    OSError,
)
_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_ROLLED_BACK = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_LOGIN = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
_USERS_TO_MEND = (
    *_LOGIN,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.SyntaxOrAccessError,
)
_ASK = (
    "SELECT current_setting('synchronous_commit') AS commit, current_setting('fsync') AS fsync,"
    " current_setting('full_page_writes') AS pages, pg_is_in_recovery() AS standby,"
    " current_setting('transaction_read_only') AS readonly"
)

log = logging.getLogger("agora.plugins")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A database, and how to speak with it; raise `ConfigError` when *dsn* is no address of one."""

    dsn: str = field(repr=False)
    table: Table
    limits: Limits
    said: set[str] = field(default_factory=set)
    """Warnings that were given: each once, however often the store is opened."""

    def __post_init__(self) -> None:
        written = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        checked_url("dsn", self.dsn, schemes=("postgresql", "postgres"), written=written)

    @property
    def name(self) -> str:
        """What errors call it: never with its credentials."""
        return named(f"the {self.table.layout.kind} table {self.table.name!r} in PostgreSQL", self.dsn)

    async def connect(self) -> Any:
        """Return a pool of connections to a database that can keep what it is given, with the table made."""
        try:
            pool = await self._pool()
            try:
                async with pool.acquire(timeout=self.limits.timeout_seconds) as connection:
                    await self._judge(connection)
                    await self.table.ensure(connection)
            except BaseException:
                pool.terminate()
                raise
        except (*_ERRORS, ValueError) as exc:
            raise self._refusal(exc) from None
        return pool

    async def disconnect(self, pool: Any) -> None:
        """Close the connections; those of a server that does not answer are dropped."""
        try:
            await asyncio.wait_for(pool.close(), self.limits.timeout_seconds)
        except _ERRORS:
            pool.terminate()

    async def call(self, pool: Any, work: Callable[[Any], Awaitable[T]], *, repeatable: bool) -> T:
        """Do *work* with a connection; when that is lost, do it once more over a new one, where that does no harm.

        What is not *repeatable* is done in a transaction: unless it may have been committed, it can be done again.
        """
        for is_last in (False, True):
            step = _Step()
            try:
                async with pool.acquire(timeout=self.limits.timeout_seconds) as connection:
                    return await (work(connection) if repeatable else step.done(connection, work))
            except _ERRORS as exc:
                again = isinstance(exc, _ROLLED_BACK) or (_is_lost(exc) and not step.committing)
                if is_last or not again:
                    raise self.explain(exc) from exc
                await pool.expire_connections()
        raise AssertionError("the loop returns or raises")

    def explain(self, error: Exception) -> StoreError:
        """Return what *error* means."""
        said = said_by(error)
        if isinstance(error, TimeoutError):
            return StoreError(
                f"{self.name} did not answer within {self.limits.timeout_seconds:g} s; it is overloaded, unreachable, "
                "or another transaction holds its rows"
            )
        if isinstance(error, asyncpg.UndefinedTableError):
            return StoreError(
                f"{self.name} is gone: {said}; put it back from a backup, or restart the worker to make it"
            )
        if isinstance(error, asyncpg.InsufficientResourcesError):
            return StoreError(f"{self.name} is out of resources: {said}; free some; nothing that was kept is lost")
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            return StoreError(f"{self.name} is read-only by now: {said}; give the address of the primary server")
        if _is_lost(error):
            return StoreError(
                f"{self.name} cannot be reached: {said}; is the server running, and is its address right?"
            )
        return StoreError(f"{self.name} failed: {type(error).__name__}: {said}")

    def _refusal(self, error: Exception) -> ConfigError | StoreError:
        """Return *error* for someone who has only just asked for the store: what was written is theirs to mend."""
        said = said_by(error)
        if isinstance(error, _LOGIN):
            return ConfigError(f"{self.name} cannot be opened: {said}; check user, password and database in dsn")
        if isinstance(error, asyncpg.ClientConfigurationError):
            return ConfigError(f"{self.name} cannot be opened: {said}; correct dsn")
        if isinstance(error, _USERS_TO_MEND):
            return ConfigError(
                f"{self.name} cannot be made or upgraded: {said}; grant the user what is missing, or correct dsn"
            )
        if _is_without_tls(error):
            return ConfigError(
                f"{self.name} cannot be opened: {said}; mend the server's TLS, or the ssl options in dsn"
            )
        if isinstance(error, ValueError):
            return ConfigError(f"{self.name} cannot be opened: dsn cannot be read; check its options")
        return self.explain(error)

    async def _pool(self) -> Any:
        settings = {"application_name": "agora"}
        if "synchronous_commit=" not in self.dsn:  # there, the user may ask for more, such as remote_apply
            settings["synchronous_commit"] = "on"
        return await asyncpg.create_pool(
            self.dsn,
            min_size=1,
            max_size=self.limits.max_connections,
            timeout=self.limits.timeout_seconds,
            command_timeout=self.limits.timeout_seconds,
            server_settings=settings,
        )

    async def _judge(self, connection: Any) -> None:
        """Refuse a server that would not keep what it acknowledges, or warn where only its owner can know."""
        found = await connection.fetchrow(_ASK)
        if found["commit"] == "off":
            raise ConfigError(
                f"{self.name} would acknowledge what a crash loses: synchronous_commit is off; set it to on"
            )
        if found["standby"]:
            raise ConfigError(f"{self.name} is on a read-only standby; give the address of the primary server")
        if found["readonly"] == "on":
            raise ConfigError(
                f"{self.name} cannot be written: default_transaction_read_only is on for this user or database; "
                "switch it off, or give another user"
            )
        for setting, value in (("fsync", found["fsync"]), ("full_page_writes", found["pages"])):
            if value == "off" and setting not in self.said:
                self.said.add(setting)
                extra = {"store": self.name, setting: value}
                log.warning("%s may not survive a power cut", self.table.layout.values, extra=extra)


@dataclass(slots=True)
class _Step:
    """A transaction; *committing* from when nobody can know any more whether it was made."""

    committing: bool = False

    async def done(self, connection: Any, work: Callable[[Any], Awaitable[T]]) -> T:
        transaction = connection.transaction()
        await transaction.start()
        try:
            result = await work(connection)
        except BaseException:
            if not connection.is_closed():
                await transaction.rollback()
            raise
        self.committing = True
        await transaction.commit()
        return result


def _is_lost(error: BaseException) -> bool:
    return isinstance(error, _LOST) and not isinstance(error, TimeoutError)


def _is_without_tls(error: BaseException) -> bool:
    # The driver has no class of its own for a server without TLS.
    return isinstance(error, ssl.SSLError) or (isinstance(error, ConnectionError) and "SSL" in str(error))
