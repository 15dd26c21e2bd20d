"""What runs out: descriptors, the disk of the request bodies, the disk of the logs, the reader of the log, memory."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.faults.cases.recycling import ask
from tests.faults.scene import WORKERS, Case, Scene
from tests.faults.servers import Loaded, Unavailable

CROWD = 500
DESCRIPTORS = 64
SPARE = 100 << 10
UPLOAD = 400 << 10


def descriptors(scene: Scene) -> None:
    """Far more clients than descriptors; each asks once, stays for a while, and leaves."""
    wrap = ["sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh"]
    with scene.serve(wrap) as server:
        before = server.crew()
        for _ in range(scene.rounds):
            with contextlib.ExitStack() as crowd:
                began = time.monotonic()
                clients = [crowd.enter_context(socket.create_connection(server.address, 20)) for _ in range(CROWD)]
                time.sleep(0.5)
                spent = _cpu(server)
                time.sleep(1)  # with nothing to do but to be short of descriptors
                spent = _cpu(server) - spent
                scene.measure("CPU of all processes while exhausted, nothing to do (seconds of one)", spent)
                scene.claim("no process spins", spent < 0.2 * WORKERS, spent)
                answers = _ask_all(clients)
                scene.measure("turned away with a 503 (of 500)", answers["503"])
                answered = answers["200"] + answers["503"]
                scene.finding.sent += CROWD
                scene.finding.failed += CROWD - answered
                scene.finding.failed_after_retry += CROWD - answered
                scene.claim("everybody gets an answer, or is told to come again", answered == CROWD, dict(answers))
                # Each worker turns away one client in a quarter of a second, while it has no descriptor.
                most = WORKERS * ((time.monotonic() - began) / 0.25 + 1)
                scene.claim("few are told to come again", answers["503"] <= most, dict(answers))
            with scene.load(server, keeping=4, closing=4) as load:
                time.sleep(1)
            scene.claim_none_failed(load.tally)
        scene.claim("no worker has died", server.crew() == before, server.text[-1500:])


def _ask_all(clients: list[socket.socket]) -> Counter[str]:
    """Each asks, then each in turn reads its answer and leaves, so that one without a descriptor gets it; statuses."""
    for client in clients:
        with contextlib.suppress(OSError):
            client.sendall(b"GET /page/crowd/10 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answers: Counter[str] = Counter()
    for client in clients:
        parts = b""
        with contextlib.suppress(OSError):
            while part := client.recv(1 << 16):
                parts += part
        whole = parts.startswith(b"HTTP/1.1 200 ") and parts.endswith(b" crowd\n")
        refused = parts.startswith(b"HTTP/1.1 503 ") and b"Retry-After" in parts
        answers["200" if whole else "503" if refused else "none"] += 1
        client.close()
    return answers


def _cpu(server: Loaded) -> float:
    """Seconds of CPU that its processes have used."""
    ticks = 0
    for pid in server.processes():
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def spool(scene: Scene) -> None:
    """The disk of the request bodies is full for a while."""
    with _small_disk(scene, body_memory="16KiB", spool_dir=str(scene.folder / "disk")) as (server, disk):
        with scene.load(server, keeping=4, closing=4) as load:
            for _ in range(scene.rounds):
                scene.claim("a large body is taken", _upload(server) == "200", server.text[-1500:])
                # Filled again and again: files of answered requests are given back a moment later.
                scene.eventually(
                    "a large body is refused while the disk is full",
                    lambda: fill(disk / "filler") or _upload(server) == "507",
                    5,
                )
                time.sleep(0.2)  # the load meets the full disk
                (disk / "filler").unlink()
                scene.claim("a large body is taken again", _upload(server) == "200", server.text[-1500:])
            load.stop()
            # The load's own large bodies meet the full disk as well, and are refused like ours.
            unexplained = [line for line in load.tally.failures if "status 507" not in str(line["detail"])]
            scene.claim("nothing but large bodies is refused", not unexplained, unexplained[:3])
        left = list(disk.iterdir())
        scene.claim("no file is left", not left, left)


def logs(scene: Scene) -> None:
    """The disk of the logs is full for a while."""
    log = scene.folder / "disk" / "access.log"
    with _small_disk(scene, accesslog=str(log)) as (server, disk), scene.load(server) as load:
        inside = disk / "access.log"
        for _ in range(scene.rounds):
            fill(disk / "filler")
            full = inside.stat().st_size
            time.sleep(1)  # the load meets the full disk
            scene.claim("the log is really full", inside.stat().st_size <= full + 8192, inside.stat().st_size)
            (disk / "filler").unlink()
            scene.eventually("lines are written again", lambda full=full: inside.stat().st_size > full + 8192)
        load.stop()
        scene.claim_none_failed(load.tally)
        scene.claim("it says that lines were lost", "lost" in server.text or "No space" in server.text, server.text)
        scene.claim("no storm of tracebacks", server.text.count("Traceback") <= scene.rounds, server.text[-1500:])


@contextlib.contextmanager
def _small_disk(scene: Scene, **settings: object) -> Iterator[tuple[Loaded, Path]]:
    """A server that alone sees a disk of 1 MiB, which is gone with it; and a path to that disk."""
    (scene.folder / "disk").mkdir(exist_ok=True)
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    mount = f'mount -t tmpfs -o size=1m faults "{scene.folder}/disk"'
    if subprocess.run([*own, "sh", "-c", mount], check=False, capture_output=True).returncode:
        raise Unavailable("no right to mount a small disk (unshare --mount)")
    with scene.serve([*own, "sh", "-c", f'{mount} && exec "$@"', "sh"], **settings) as server:
        yield server, Path(f"/proc/{server.pid}/root{scene.folder}/disk")


def fill(path: Path) -> None:
    """Takes what is left of a disk."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            continue


def _upload(server: Loaded) -> str:
    body = b"u" * UPLOAD
    head = f"PUT /page/upload/10 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(server.address, 10) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(head.encode() + body)
        return client.recv(100).split(b" ")[1].decode()


def memory_error(scene: Scene) -> None:
    """A request that asks for more memory than there is."""
    with scene.serve() as server, scene.load(server) as load:
        before = server.crew()
        for _ in range(scene.rounds):
            scene.claim("the request is answered 500", b" 500 " in ask(server, "/trouble/allocate")[:20])
        load.stop()
        scene.claim_none_failed(load.tally)
        scene.claim("no worker has died", server.crew() == before, server.text[-1500:])


def log_reader(scene: Scene) -> None:
    """Whoever reads the logs through a pipe stops reading, and then dies."""
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    pipe = os.dup(reader.stdin.fileno())
    reader.stdin.close()
    os.set_inheritable(pipe, True)
    link = scene.folder / "pipe"
    link.symlink_to(f"/proc/{os.getpid()}/fd/{pipe}")
    try:
        with (
            scene.serve(["sh", "-c", f'exec "$@" >{link}', "sh"], accesslog="-") as server,
            scene.load(server) as load,
        ):
            os.close(pipe)
            reader.send_signal(signal.SIGSTOP)
            time.sleep(1 + scene.rounds)  # long enough for the load to fill the pipe
            reader.kill()
            reader.wait()
            time.sleep(1 + scene.rounds)
            load.stop()
            scene.claim_none_failed(load.tally)
            scene.claim("no pause", load.tally.longest_pause < 1, load.tally.longest_pause)
            scene.claim("all workers live", len(server.crew()) == WORKERS, server.text[-1500:])
    finally:
        reader.kill()
        reader.wait()


RESOURCES = (
    Case("descriptors", "64 descriptors a process, 500 clients", descriptors, short=1, long=5),
    Case("spool", "request bodies on a full disk", spool, short=1, long=5, no_gunicorn="does not spool bodies"),
    Case("logs", "access log on a full disk", logs, short=1, long=5),
    Case("log_reader", "the reader of the log pipe stops, then dies", log_reader, short=1, long=10),
    Case("memory_error", "a request without enough memory", memory_error, short=3, long=30),
)
