"""The sink that tells the truth: a process of its own, with a ledger that it syncs to disk before it acknowledges.

As a program: `oracle.py LEDGER` listens on 127.0.0.1 and prints its port. Each line of the ledger is a number, and the
key behind it where the sink has one.
"""

import json
import os
import socket
import socketserver
import sys
import threading

from agora_core.spec.errors import PartialWriteError


def shown(number):
    """Return the record that the pipeline under test makes of *number*."""
    return {"n": number, "square": number * number}


def fate(number, every, mended):
    """Return where the record of *number* dies, or nothing; when they are *mended*, those that are even still do."""
    if mended and number % 2:
        return ""
    if number % every == every // 5:
        return "middleware:square"
    return "sink_write" if number % (every + 12) == 2 else ""


class Ledger:
    def __init__(self, path):
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._lock = threading.Lock()

    def keep(self, lines):
        if lines:
            with self._lock:
                os.write(self._file, "".join(f"{line}\n" for line in lines).encode())
                os.fsync(self._file)


class Conversation(socketserver.StreamRequestHandler):
    """What one client writes: kept at once, or, when it flushes, then; what it did not flush dies with it."""

    def handle(self):
        waiting = []
        for line in self.rfile:
            asked = json.loads(line)
            answer = []
            if asked["do"] == "flush":
                self.server.ledger.keep(waiting)
                waiting = []
            else:
                answer = [place for place, record in enumerate(asked["records"]) if self.refuses(record, asked)]
                keys = asked.get("keys") or [""] * len(asked["records"])
                lines = [f"{record['n']} {key}".strip() for record, key in zip(asked["records"], keys, strict=True)]
                taken = [line for place, line in enumerate(lines) if place not in answer]
                if asked["do"] == "keep":
                    self.server.ledger.keep(taken)
                else:
                    waiting += taken
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    def refuses(self, record, asked):
        if record != shown(record["n"]):
            return True
        return fate(record["n"], asked["every"], asked["mended"]) == "sink_write"


class Oracle(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, path):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.ledger = Ledger(path)


class Client:
    """One connection to the oracle; each call returns what it answered."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._answers = self._socket.makefile("rb")

    def ask(self, **asked):
        self._socket.sendall(json.dumps(asked).encode() + b"\n")
        answer = self._answers.readline()
        if not answer:
            raise ConnectionError("the oracle is gone")
        return json.loads(answer)

    def close(self):
        self._answers.close()
        self._socket.close()


class DirectSink:
    """Acknowledges by `write_batch`."""

    doing = "keep"

    def __init__(self, port, every, mended):
        self._port = port
        self._rule = {"every": every, "mended": mended}

    def open(self):
        self._client = Client(self._port)

    def close(self):
        self._client.close()

    async def write_batch(self, records):
        self.ask(records=records)

    def ask(self, **asked):
        refused = self._client.ask(do=self.doing, **asked, **self._rule)
        if refused:
            raise PartialWriteError({place: ValueError("the oracle refused it") for place in refused})


class FlushedSink(DirectSink):
    """Acknowledges by `flush` alone."""

    doing = "wait"

    async def flush(self):
        self._client.ask(do="flush")


class KeyedSink(DirectSink):
    """Has the oracle write down the key of each record."""

    async def write_batch(self, records, *, keys):
        self.ask(records=records, keys=keys)


if __name__ == "__main__":
    with Oracle(sys.argv[1]) as oracle:
        print(oracle.server_address[1], flush=True)
        oracle.serve_forever()
