"""The application that the observers ask, and a request that stays inside it."""

from pathlib import Path

from tests.support.process import Server
from tests.support.raw import Client, wait_for

APPLICATION = """\
import os, sys, threading, time

with open("imports", "a") as file:
    file.write("x")

inside, most, lock = 0, 0, threading.Lock()
kept = []

def spooled():
    held = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
    return [target for fd in held if "/bodies/" in (target := os.readlink(fd) if os.path.lexists(fd) else "")]

def together():
    global inside, most
    with lock:
        inside += 1
        most = max(most, inside)
    time.sleep(0.2)
    with lock:
        inside -= 1
    return str(most)

def streamed():
    for number in range(512):
        yield b"x" * 65536
    open("streamed", "w").close()

def answer(environ):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/sleep":
        open("inside", "w").close()
        time.sleep(float(query))
    if path == "/fill":
        kept.append(b"x" * int(query))
    return {
        "/cwd": os.getcwd,
        "/import": lambda: __import__(query).__name__,
        "/environ": lambda: os.environ.get(query, "none"),
        "/multithread": lambda: str(environ["wsgi.multithread"]),
        "/scheme": lambda: environ["wsgi.url_scheme"],
        "/of": lambda: str(environ.get(query)),
        "/spooled": lambda: "\\n".join(spooled()),
        "/together": together,
        "/large": lambda: "x" * (64 << 20),
    }.get(path, lambda: str(os.getpid()))()

def app(environ, start_response):
    start_response("200 OK", [])
    return streamed() if environ["PATH_INFO"] == "/stream" else [answer(environ).encode()]

def other(environ, start_response):
    start_response("200 OK", [])
    return [b"the other"]
"""


def busy(server: Server, place: Path, seconds: int = 60) -> Client:
    """A connection whose request is inside the application."""
    client = Client(server.url)
    client.request(f"/sleep?{seconds}")
    wait_for((place / "inside").exists, "the request to be inside")
    return client
