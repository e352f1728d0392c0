"""Connections to Redis, and what its errors mean for the store's user."""

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeAlias

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import TimeoutError as LateError

from agora.plugins import ConfigError, StoreError
from agora_plugins.server_address import checked_url, named, said_by
from agora_plugins.server_limits import Limits

Client: TypeAlias = Any
"""redis-py types its answers as everything that any command may give, now or later."""

_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_OLDEST = (6, 0)
_WAITAOF = (7, 2)
_EVICTS = "allkeys-"

log = logging.getLogger("agora.plugins")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a store keeps under its keys, and the script that does so."""

    kind: str
    """What errors call it, followed by `store`: `dead-letter`."""
    values: str
    """What is kept, in the plural: `dead letters`."""
    script: str = field(repr=False)
    sha: str = field(init=False)
    """The name that Redis itself gives the script."""

    def __post_init__(self) -> None:
        sha = sha1(self.script.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)


def script(name: str) -> str:
    """Return the text of the Lua file of this *name*."""
    return files("agora_plugins").joinpath(name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Connected:
    """A client of one event loop; *syncs* says that the server can be asked to write its file before it answers."""

    client: Client
    syncs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A Redis, and how to speak with it; raise `ConfigError` when *url* or *prefix* cannot be used."""

    url: str = field(repr=False)
    prefix: str
    limits: Limits
    layout: Layout
    said: set[str] = field(default_factory=set)
    """Warnings that were given: each once, however often the store is opened."""

    def __post_init__(self) -> None:
        if not isinstance(self.prefix, str) or not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(f"prefix must be 1 to 100 of the characters A-Z a-z 0-9 _ . : -, not {self.prefix!r}")
        written = "redis://USER:PASSWORD@HOST:PORT/0"
        checked_url("url", self.url, schemes=("redis", "rediss", "unix"), written=written)

    @property
    def name(self) -> str:
        """What errors call it: never with its credentials."""
        return named(f"the {self.layout.kind} store {self.prefix!r} in Redis", self.url)

    async def connect(self) -> Connected:
        """Return a client of a server that can keep what it is given."""
        try:
            client = self._client()
        except (ValueError, TypeError):  # whose text may quote the URL
            raise ConfigError(f"{self.name} cannot be opened: url cannot be read; check its options") from None
        try:
            found, known = (answer.decode() for answer in await self._run(client, ("open", "")))
            self._check(found, known)
            return Connected(client, syncs=await self._judge(client))
        except BaseException as exc:
            await client.aclose()
            if isinstance(exc, RedisError | OSError):
                raise self._refusal(exc) from None
            raise

    async def disconnect(self, connected: Connected) -> None:
        """Close the connections."""
        await connected.client.aclose()

    async def call(self, connected: Connected, *arguments: object, repeatable: bool = False) -> Any:
        """Return what the script answers; when the connection is lost, call again where that does no harm."""
        run = self._run if repeatable else self._run_once
        return await self._tried(lambda: run(connected.client, arguments))

    async def call_synced(self, connected: Connected, *arguments: object) -> Any:
        """Make a repeatable call; it answers when what it wrote is in the server's file, where it can be asked."""
        run = self._run_synced if connected.syncs else self._run
        return await self._tried(lambda: run(connected.client, arguments))

    async def _tried(self, work: Callable[[], Awaitable[Any]]) -> Any:
        try:
            try:
                return await work()
            except (LostError, OSError) as exc:
                if isinstance(exc, BusyLoadingError | AuthenticationError):
                    raise
                return await work()
        except _Unknown as exc:
            raise self._explained(exc.error) from exc.error
        except (RedisError, OSError) as exc:
            raise self._explained(exc) from exc

    async def _run_once(self, client: Client, arguments: Any) -> Any:
        async with client.client() as one:
            await one.ping()  # a connection that the server has closed is found out before it matters
            try:
                return await self._run(one, arguments)
            except (LostError, OSError) as exc:
                raise _Unknown(exc) from exc

    async def _run(self, client: Client, arguments: Any) -> Any:
        operation, *others = arguments
        # KEYS[1] is in braces: in a cluster all keys that begin so lie on one machine.
        words = (1, f"{{{self.prefix}}}", operation, *others)
        try:
            return await client.evalsha(self.layout.sha, *words)
        except NoScriptError:  # a server that has restarted
            return await client.eval(self.layout.script, *words)

    async def _run_synced(self, client: Client, arguments: Any) -> Any:
        async with client.client() as one:  # WAITAOF is about what its own connection wrote
            answer = await self._run(one, arguments)
            synced, _ = await one.execute_command("WAITAOF", 1, 0, round(self.limits.timeout_seconds * 1000))
        if not synced:
            raise StoreError(
                f"{self.name} did not write its append-only file within {self.limits.timeout_seconds:g} s; look at the "
                "server's disk"
            )
        return answer

    def _check(self, found: str, known: str) -> None:
        """Refuse what is of a *found* format that this one does not know; tell of an older one that it has upgraded."""
        if not found.isdecimal():
            raise ConfigError(f"{self.name} is not one of Agora: its format is {found[:40]!r}; choose another prefix")
        if int(found) > int(known):
            raise ConfigError(
                f"{self.name} was written by a newer Agora (format {found}; this one knows {known}); "
                "upgrade agora-etl-plugins"
            )
        if 0 < int(found) < int(known):
            extra = {"store": self.name, "from_format": int(found), "to_format": int(known)}
            log.info("store brought to a new format", extra=extra)

    def _client(self) -> Client:
        pool = BlockingConnectionPool.from_url(
            self.url,
            max_connections=self.limits.max_connections,
            timeout=self.limits.timeout_seconds,
            socket_timeout=self.limits.timeout_seconds,
            socket_connect_timeout=self.limits.timeout_seconds,
            retry=Retry(NoBackoff(), 0),  # what may be done twice is known here, not there
        )
        return Redis.from_pool(pool)

    async def _judge(self, client: Client) -> bool:
        """Refuse a server that may drop what it keeps, warn of one that a crash robs; return whether it syncs."""
        try:
            info = await client.info("server", "memory", "persistence", "replication")
        except NoPermissionError:
            self._warn("Redis does not tell whether it keeps %s", remedy="allow the command INFO")
            return False
        version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
        if version < _OLDEST:
            raise ConfigError(f"{self.name} needs Redis 6 or later, and this is {info['redis_version']}")
        if info.get("role") == "slave":
            raise ConfigError(f"{self.name} is on a read-only replica; give the url of the primary server")
        policy = str(info.get("maxmemory_policy", ""))
        if int(info.get("maxmemory", 0)) and policy.startswith(_EVICTS):
            raise ConfigError(
                f"{self.name} would lose {self.layout.values} when its memory is full: maxmemory-policy is {policy}; "
                "set it to noeviction or to a volatile- policy"
            )
        if not int(info.get("aof_enabled", 0)):
            self._warn("%s do not survive a restart of Redis", remedy="appendonly yes")
            return False
        if version < _WAITAOF and await self._fsync(client) != "always":
            self._warn("a crash of Redis may lose the last second of %s", remedy="appendfsync always")
        return version >= _WAITAOF

    async def _fsync(self, client: Client) -> str:
        try:
            found = await client.config_get("appendfsync")
        except RedisError:
            return "not told"
        return str(next(iter(found.values()), ""))

    def _warn(self, event: str, *, remedy: str) -> None:
        if event not in self.said:
            self.said.add(event)
            log.warning(event, self.layout.values, extra={"store": self.name, "remedy": remedy})

    def _refusal(self, error: Exception) -> ConfigError | StoreError:
        """Return *error* for someone who has only just asked for the store: what was written is theirs to mend."""
        said = said_by(error)
        if isinstance(error, AuthenticationError | NoPermissionError):
            return ConfigError(f"{self.name} cannot be opened: {said}; check the user and the password in url")
        return self._explained(error)

    def _explained(self, error: Exception) -> StoreError:
        """Return what *error* means."""
        said = said_by(error)
        if isinstance(error, LateError | TimeoutError):
            return StoreError(
                f"{self.name} did not answer within {self.limits.timeout_seconds:g} s; it is overloaded or unreachable"
            )
        if isinstance(error, OutOfMemoryError):
            return StoreError(f"{self.name} is out of memory: {said}; raise maxmemory; nothing that was kept is lost")
        if isinstance(error, ReadOnlyError):
            return StoreError(f"{self.name} is read-only by now: {said}; give the url of the primary server")
        if isinstance(error, LostError | OSError):
            return StoreError(f"{self.name} cannot be reached: {said}; is the server running, and is its url right?")
        return StoreError(f"{self.name} failed: {type(error).__name__}: {said}")


class _Unknown(Exception):  # noqa: N818  # it is not what went wrong: it says of that what nobody knows
    """The connection was lost while a step was made that must not be made twice."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
