"""From a port of this machine's loopback into the phone's own network, as a cable that can be pulled."""

from __future__ import annotations

import contextlib
import socket
import threading

CHUNK = 1 << 16


class Relay:
    """Copies between connections to `listener` and the phone's daemon, two threads a connection.

    The process must have joined the phone's network after `listener` was opened.
    """

    def __init__(self, listener: socket.socket, port: int) -> None:
        self._listener = listener
        self._port = port
        self._plugged = True
        self._flowing = threading.Event()
        self._flowing.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Serve until the process ends."""
        threading.Thread(target=self._serve, daemon=True).start()

    def plug(self) -> None:
        """Let connections through again."""
        self._plugged = True

    def unplug(self) -> None:
        """Break all connections and refuse new ones."""
        self._plugged = False
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """Keep all connections and let nothing through, as a phone that sleeps on Wi-Fi."""
        self._flowing.clear()

    def resume(self) -> None:
        """Pass on what came meanwhile, and what comes."""
        self._flowing.set()

    def _serve(self) -> None:
        while True:
            outside, _ = self._listener.accept()
            try:
                if not self._plugged:
                    raise ConnectionRefusedError
                inside = socket.create_connection(("127.0.0.1", self._port), timeout=5)
            except OSError:
                outside.close()
                continue
            inside.settimeout(None)
            with self._lock:
                self._open |= {outside, inside}
            for one, other in ((outside, inside), (inside, outside)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(CHUNK):
                self._flowing.wait()
                other.sendall(data)
        with self._lock:
            for end in (one, other):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self._open.discard(one)
        one.close()
