"""Tools for the benchmark's own tests: its modules on the path, and a server that says what it is told to."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
if str(BENCH) not in sys.path:
    sys.path.insert(0, str(BENCH))


@dataclass
class ScriptedServer:
    """Answers the k-th request with the k-th of ``answers``; a true second part closes the connection."""

    url: str
    listener: socket.socket
    answers: list[tuple[bytes, bool]]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def serve(self) -> None:
        pending = iter(self.answers)
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # the test is over
                return
            self.connections += 1
            with connection:
                while request := self.read_request(connection):
                    self.requests.append(request)
                    answer, close = next(pending)
                    for byte_at in range(0, len(answer), 7):  # in small pieces: nothing may rely on one recv
                        connection.sendall(answer[byte_at : byte_at + 7])
                    if close:
                        break

    @staticmethod
    def read_request(connection: socket.socket) -> bytes:
        received = b""
        while b"\r\n\r\n" not in received:
            if not (piece := connection.recv(65536)):
                return b""
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [
            line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        ]
        while len(body) < int(lengths[0] if lengths else 0):
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    """Start a server with these answers: bytes keep the connection, ``(bytes, True)`` closes it afterwards."""
    listeners = []

    def start(*answers: bytes | tuple[bytes, bool]) -> ScriptedServer:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        pairs = [each if isinstance(each, tuple) else (each, False) for each in answers]
        server = ScriptedServer(f"http://127.0.0.1:{listener.getsockname()[1]}/alice/book/", listener, pairs)
        threading.Thread(target=server.serve, daemon=True).start()
        return server

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture
def bench_folder() -> Path:
    return BENCH
