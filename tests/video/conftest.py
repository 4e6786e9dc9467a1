from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture
def dripping_port() -> Iterator[int]:
    """A server that sends one byte a second to whoever connects."""
    over = threading.Event()

    def drip(client: socket.socket) -> None:
        with client:
            for _ in range(120):
                try:
                    client.sendall(b"H")
                except OSError:
                    return
                if over.wait(1):
                    return

    def accept(server: socket.socket) -> None:
        while not over.is_set():
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, args=(server,), daemon=True).start()
        yield int(server.getsockname()[1])
        over.set()
