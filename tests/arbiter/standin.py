"""A small engine for tests of the processes around it: one request a connection, one thread for each."""

import os
import selectors
import sys
import threading
from wsgiref.handlers import SimpleHandler


class StandInEngine:
    def __init__(self, app, listeners, settings, row):
        self.app, self.listeners = app, list(listeners)
        self.state, self.wants_recycling = "new", False
        self._limit = settings.engine.max_requests
        self._served = 0
        self._changed = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._running: set[threading.Thread] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.state = "running"
        self._thread.start()

    def drain(self):
        self._become("draining")

    def stop(self):
        self._become("stopped")

    def fileno(self):
        return self._changed

    def acknowledge(self):
        os.eventfd_read(self._changed)

    def join(self, timeout):
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _become(self, state):
        self.state = state
        os.eventfd_write(self._changed, 1)
        os.eventfd_write(self._wake, 1)

    def _run(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake, selectors.EVENT_READ, None)
            for listener in self.listeners:
                selector.register(listener, selectors.EVENT_READ, listener)
            while self.state == "running":
                for key, _ in selector.select():
                    self._accept(key.data)
        while self.state == "draining" and any(self._accept(listener) for listener in self.listeners):
            pass
        for listener in self.listeners:
            listener.close()
        for thread in list(self._running):
            while thread.is_alive() and self.state == "draining":
                thread.join(0.02)
        if self.state == "draining":
            self._become("stopped")

    def _accept(self, listener):
        if listener is None:
            return False
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            return False
        thread = threading.Thread(target=self._answer, args=(client,), daemon=True)
        self._running.add(thread)
        thread.start()
        return True

    def _answer(self, client):
        with client, client.makefile("rb") as reader, client.makefile("wb") as writer:
            line = reader.readline().split()
            while reader.readline() not in (b"\r\n", b""):
                pass
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": line[1].decode(), "SERVER_PROTOCOL": "HTTP/1.1"}
            handler = SimpleHandler(reader, writer, sys.stderr, environ, multithread=True, multiprocess=True)
            handler.http_version, handler.origin_server = "1.1", True
            handler.run(self.app)
        self._served += 1
        if self._limit and self._served >= self._limit and not self.wants_recycling:
            self.wants_recycling = True
            os.eventfd_write(self._changed, 1)
        self._running.discard(threading.current_thread())
