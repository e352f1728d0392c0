"""The pool's health server: opened before any run, closed at step two of the shutdown; real sockets."""

import asyncio
import http.client
import json
import socket
import threading
import time

import pytest

from agora_core.registry.catalogue import Kind
from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import worker
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.server.health_server import HealthServer
from agora_core.spec.errors import ConfigError, DuplicateOfferError
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer


@pytest.fixture
def taken():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    monkeypatch.delenv("AGORA_HEALTH_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("AGORA_HEALTH_AUTH_TOKEN_FILE", raising=False)


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return None, ""
    finally:
        connection.close()


async def test_it_answers_during_runs_and_is_gone_in_step_two(script):
    """The server answers while a run goes on; after the stop it is gone before the run has ended."""
    seen = {}

    async def look():
        seen["port"] = pool.health_port
        seen["health"] = await asyncio.to_thread(get, pool.health_port, "/health")
        seen["ready"] = await asyncio.to_thread(get, pool.health_port, "/ready")
        pool.stop()
        while (await asyncio.to_thread(get, seen["port"], "/livez"))[0] is not None:
            await asyncio.sleep(0.02)
        seen["gone"] = True

    pool = WorkerPool(health_port=0).register(ScheduledPipeline(script(look), Schedule.once(), "it"))
    report = await pool.run()

    document = json.loads(seen["health"][1])
    assert (seen["health"][0], seen["ready"][0], seen["gone"], report.exit_code) == (200, 200, True, 0)
    assert seen["port"] != 0
    assert [(row["id"], row["state"]) for row in document["pipelines"]] == [("it", "running")]


async def test_it_is_true_while_the_event_loop_is_blocked(script):
    """A run that blocks the loop is told as running, by number, however often somebody asked before."""
    documents = []

    def ask():
        documents.append(json.loads(get(pool.health_port, "/health")[1]))

    async def block():
        ask()

    async def last():
        ask()
        pool.stop()

    pool = WorkerPool(health_port=0)
    await pool.register(ScheduledPipeline(script(block, block, last), Schedule.continuous(), "it")).run()

    rows = [document["pipelines"][0] for document in documents]
    assert [(row["state"], row["current_run"]["number"]) for row in rows] == [("running", n) for n in (1, 2, 3)]
    assert [row["runs"]["success"] for row in rows] == [0, 1, 2]


async def test_a_taken_port_is_refused_before_anything_runs(script, taken):
    """The port is bound before any pipeline starts; taken, the worker is refused with its number."""
    runs = script()

    with pytest.raises(ConfigError, match=str(taken)):
        await WorkerPool(health_port=taken).register(ScheduledPipeline(runs, Schedule.once(), "it")).run()
    assert runs.started == []


async def test_a_worker_may_go_on_without_it(script, taken, logged):
    """With health_required=False a taken port is a warning."""
    pool = WorkerPool(health_port=taken, health_required=False)

    report = await pool.register(ScheduledPipeline(script(), Schedule.once(), "it")).run()

    assert report.exit_code == 0
    assert "worker runs without its health server" in logged()


async def test_a_token_that_is_none_is_refused(script):
    """A token that is too short is refused before anything runs, and not shown."""
    pool = WorkerPool(health_port=0, health_auth_token="short")

    with pytest.raises(ConfigError, match="health_auth_token") as caught:
        await pool.register(ScheduledPipeline(script(), Schedule.once(), "it")).run()
    assert "short" not in str(caught.value).replace("too short", "")


def exporters(*offers):
    class Plugin:
        @hookimpl
        def agora_health_exporters(self):
            return list(offers)

    found = Found(name="mine", distribution="mine", version="1", plugin=Plugin())
    return assemble((*installed().found, found))


async def test_an_exporter_that_cannot_be_built_is_left_out(script, monkeypatch, logged):
    """A broken exporter costs nobody their worker; it is named in the log."""

    def broken():
        raise RuntimeError("no")

    plugins = exporters(Offer("broken", "fails", broken))
    monkeypatch.setattr(worker, "installed", lambda: plugins)

    report = await WorkerPool(health_port=0).register(ScheduledPipeline(script(), Schedule.once(), "it")).run()

    assert report.exit_code == 0
    assert ("health exporter left out", "broken") in logged("exporter")


async def test_two_exporters_of_one_name_are_refused(script, monkeypatch):
    """Nobody can say which of the two would answer."""
    taken = installed().catalogue.offers(Kind.HEALTH_EXPORTER)[0].offer.name
    plugins = exporters(Offer(taken, "another", object))
    monkeypatch.setattr(worker, "installed", lambda: plugins)

    with pytest.raises(DuplicateOfferError, match="mine"):
        await WorkerPool(health_port=0).register(ScheduledPipeline(script(), Schedule.once(), "it")).run()


@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_ends_while_it_is_opened_leaves_no_server(script, monkeypatch, cancelled):
    """`run()` that is cancelled, or stopped, while the server starts up: the port is free again, and nothing ran."""
    started, runs = threading.Event(), script()
    start = HealthServer.start

    def slowly(self):
        started.set()
        time.sleep(0.2)
        return start(self)

    monkeypatch.setattr(HealthServer, "start", slowly)
    pool = WorkerPool(health_port=0).register(ScheduledPipeline(runs, Schedule.once(), "it"))
    running = asyncio.ensure_future(pool.run())
    await asyncio.to_thread(started.wait)
    if cancelled:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    else:
        pool.stop()
        assert (await running).stopped == ("it",)

    for thread in threading.enumerate():
        if thread.name.startswith("agora health door"):
            await asyncio.to_thread(thread.join)

    assert runs.started == []
    assert not [one.name for one in threading.enumerate() if one.name == "agora-health"]


async def test_without_a_thread_it_is_refused(script, monkeypatch):
    """Where the system gives no thread, the worker is refused in one sentence, and what it had begun is undone."""

    def refuse(self):
        if "health door" in self.name:
            raise RuntimeError("can't start new thread")
        return thread_start(self)

    thread_start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(ConfigError, match="cannot start a thread for its health server: can't start new thread; raise"):
        await WorkerPool(health_port=0).register(ScheduledPipeline(script(), Schedule.once(), "it")).run()


async def test_it_answers_until_the_shutdown_has_closed_it(script):
    """While a run is waited for the door is shut, but up to the stop every request is answered."""
    answers, ended = [], asyncio.Event()

    async def look():
        while not ended.is_set():
            answers.append(await asyncio.to_thread(get, pool.health_port, "/livez"))

    async def run():
        looking = asyncio.ensure_future(look())
        await asyncio.sleep(0.2)
        ended.set()
        await looking
        pool.stop()

    pool = WorkerPool(health_port=0).register(ScheduledPipeline(script(run), Schedule.once(), "it"))
    report = await pool.run()

    assert report.exit_code == 0
    assert answers
    assert {status for status, _ in answers} == {200}
