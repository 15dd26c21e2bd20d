"""The rows of the comparison: what each asks of a server, who is measured, and the bars for Pronghorn."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .apps import compute, hello, ticker
from .load import (
    MIB,
    TIMEOUT,
    Idle,
    Slow,
    Wrk,
    begin,
    closes,
    download,
    file_crc,
    finish,
    make_file,
    new_connection_ms,
    percentile,
    ticks,
    upload,
)
from .machine import BUILD
from .measure import Failed, Running, cpu_seconds, get, on_core, pss_bytes, spent
from .metrics import Bar
from .servers import GREEN, PEERS, THREADED

Figures = dict[str, float]
Run = Callable[[Running, int], Figures]

WARM_SECONDS = 1
FILE = BUILD / "file.bin"
FILE_SIZE = 100 * MIB
IDLE_CONNECTIONS = 10_000
NEW_CONNECTIONS = 2_000
SLOW_CLIENTS = 200
SLOW_BODY = 64 * 1024  # bytes; at 500 a second none is complete before the end
SWITCH_INTERVAL_MS = 5


@dataclass(frozen=True, slots=True)
class Workload:
    """One row. `run` gets a server that answers and the seconds to measure; its figures are named in metrics.METRICS.

    The first of `columns` is what servers are ranked by. `servers` names who is measured beside Pronghorn.
    """

    name: str
    title: str
    app: str
    run: Run
    columns: Sequence[str]
    bars: Sequence[Bar]
    servers: Sequence[str] = PEERS
    threads: int = 8
    blocking: bool = False
    connections: int = 32
    workers: int = 1
    preload: bool = False
    floor: Sequence[str] = field(default=("12",))


def small(path: str, body: bytes, connections: int = 32, kind: str = "plain") -> Run:
    """A run of wrk on one path, with the CPU time of the server around it."""

    def run(server: Running, seconds: int) -> Figures:
        expect(server, path, body)
        finish(begin(server.port, path, connections, WARM_SECONDS, kind), len(body))
        before = cpu_seconds(server.pid)
        seen = finish(begin(server.port, path, connections, seconds, kind), len(body))
        return figures(seen, spent(before, cpu_seconds(server.pid)))

    return run


def figures(seen: Wrk, cpu: float) -> Figures:
    """The usual four figures of a run of wrk during which the server used `cpu` seconds."""
    return {"rate": seen.rate, "cpu_us": cpu / seen.requests * 1e6, "p50_ms": seen.p50_ms, "p99_ms": seen.p99_ms}


def closing(server: Running, seconds: int) -> Figures:
    """A connection for each request. A server that keeps it open, and lets wrk go on with it, is not compared."""
    if not closes(server.port):
        raise Failed("keeps the connection open behind Connection: close")
    return small("/", hello.BODY, kind="close")(server, seconds)


def expect(server: Running, path: str, body: bytes) -> None:
    """Ask once. Raises Failed when the answer is not `body`; the floor, which answers nothing else, is not asked."""
    if server.server.name != "floor" and (got := get(server.port, path, TIMEOUT)) != body:
        raise Failed(f"GET {path}: wrong body of {len(got):,} bytes: {got[:40]!r}")


def flask(server: Running, seconds: int) -> Figures:
    """Flask hello, then Flask without a server on the same core and interpreter; own_us is the difference."""
    found = small("/", hello.BODY)(server, seconds)
    alone = float(on_core(server.cores.server, server.server.python, "bench.apps.flask_hello", str(min(seconds, 2))))
    return found | {"app_us": alone, "own_us": found["cpu_us"] - alone}


def watched(server: Running, seconds: int) -> Figures:
    """Hello, and what the scoreboard costs a request in a loop of its own, on the same core."""
    found = small("/", hello.BODY)(server, seconds)
    spent_ns = float(on_core(server.cores.server, server.server.python, "bench.board"))
    return found | {"board_ns": spent_ns, "board_share": spent_ns / found["cpu_us"] / 10}


def beside_slow(server: Running, seconds: int) -> Figures:
    """Hello alone, and then beside clients that send and read bit by bit: what is left of the rate."""
    alone = small("/", hello.BODY)(server, seconds)
    with Slow(server.port, SLOW_CLIENTS, SLOW_BODY) as slow:
        found = small("/", hello.BODY)(server, seconds)
        slow.check()
    return found | {"kept": 100 * found["rate"] / alone["rate"]}


def mixed(server: Running, seconds: int) -> Figures:
    """Sixteen connections ask for what is fast while four loop on what sleeps 0.2 s; figures of the fast ones."""
    expect(server, "/", hello.BODY)
    finish(begin(server.port, "/", 16, WARM_SECONDS), len(hello.BODY))
    slow = begin(server.port, "/200", 4, seconds)
    before = cpu_seconds(server.pid)
    fast = begin(server.port, "/", 16, seconds)
    slow_seen = finish_both(slow, fast)
    return figures(slow_seen[1], spent(before, cpu_seconds(server.pid))) | {"slow_rate": slow_seen[0].rate}


def finish_both(first: subprocess.Popen[str], second: subprocess.Popen[str]) -> tuple[Wrk, Wrk]:
    """The figures of two runs at once; neither is left running when the other failed."""
    try:
        return finish(first, len(hello.BODY)), finish(second, len(hello.BODY))
    finally:
        first.wait()
        second.wait()


def computing(server: Running, seconds: int) -> Figures:
    """Sixteen connections on a handler that computes; then the same with one connection of hello beside them."""
    found = small("/compute", hello.BODY, connections=16)(server, seconds)
    busy = begin(server.port, "/compute", 16, seconds)
    beside = begin(server.port, "/", 1, seconds)
    return found | {"hello_p99_ms": finish_both(busy, beside)[1].p99_ms}


def repeat(server: Running, seconds: int, transfer: Callable[[], object]) -> Figures:
    """MiB a second and CPU milliseconds of a transfer, repeated for at least `seconds`; the first is not counted."""
    transfer()
    count, before, start = 0, cpu_seconds(server.pid), time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or count == 0:
        transfer()
        count += 1
    cpu = spent(before, cpu_seconds(server.pid))
    return {"mib_s": count * FILE_SIZE / MIB / elapsed, "cpu_ms": cpu / count * 1000}


def uploading(server: Running, seconds: int) -> Figures:
    """Uploads one after another."""
    return repeat(server, seconds, lambda: upload(server.port, FILE_SIZE))


def downloading(server: Running, seconds: int) -> Figures:
    """Downloads one after another; the first is compared with the file byte by byte, by checksum."""
    if download(server.port, checksum=True) != (FILE_SIZE, file_crc(make_file(FILE, FILE_SIZE))):
        raise Failed("download: not the file")

    def whole() -> None:
        length, _ = download(server.port)
        if length != FILE_SIZE:
            raise Failed(f"download: ended after {length:,} of {FILE_SIZE:,} bytes")

    return repeat(server, seconds, whole)


def memory(server: Running, seconds: int) -> Figures:
    """Pss of the whole tree after a second of load whose connections are closed again."""
    expect(server, "/", hello.BODY)
    finish(begin(server.port, "/", 32, WARM_SECONDS), len(hello.BODY))
    return {"pss_mib": pss_bytes(server.pid) / MIB}


def idle(server: Running, seconds: int) -> Figures:
    """What idle keep-alive connections cost, and whether a request on a new one notices them."""
    without = percentile(list(new_connection_ms(server.port, NEW_CONNECTIONS)), 0.99)
    before = pss_bytes(server.pid)
    with Idle(server.port, hello.BODY) as connections:
        connections.open(IDLE_CONNECTIONS)
        each = (pss_bytes(server.pid) - before) / IDLE_CONNECTIONS
        beside = percentile(list(new_connection_ms(server.port, NEW_CONNECTIONS)), 0.99)
        connections.check()
    return {"bytes_each": each, "new_p99_ms": without, "new_idle_p99_ms": beside, "new_ratio": beside / without}


def ticking(server: Running, seconds: int) -> Figures:
    """How many of their ticks two background threads keep while nothing happens, and under 32 connections of hello."""
    expect(server, "/", hello.BODY)
    found: Figures = {}
    for state in ("idle", "load"):
        before = ticks(server.port)
        if state == "load":
            found["rate"] = finish(begin(server.port, "/", 32, seconds), len(hello.BODY)).rate
        else:
            time.sleep(seconds)
        after = ticks(server.port)
        wanted = (after["clock"] - before["clock"]) / ticker.PERIOD
        for kind in ("schedule", "sleep"):
            found[f"{state}_{kind}"] = min(100.0, 100 * (after[kind] - before[kind]) / wanted)
    return found


USUAL = ("cpu_us", "rate", "p50_ms", "p99_ms")
AHEAD = (Bar("cpu_us", 1.0, "best peer"), Bar("rate", 1.0, "best peer"))
TICKS = ("load_schedule", "load_sleep", "idle_schedule", "idle_sleep")
WITH_PRELOAD = ("gunicorn-sync", "gunicorn-gthread", "uwsgi")

WORKLOADS = {
    row.name: row
    for row in (
        Workload(
            "hello",
            "Hello",
            "bench.apps.hello:app",
            small("/", hello.BODY),
            USUAL,
            (Bar("cpu_us", 1.25, "floor"), Bar("cpu_us", 0.92, "best peer")),
            ("floor", *PEERS),
        ),
        Workload(
            "scoreboard",
            "Hello, and what it costs to write each request on the scoreboard",
            "bench.apps.hello:app",
            watched,
            ("cpu_us", "board_ns", "board_share"),
            (Bar("board_share", 1.0),),
            (),
        ),
        Workload(
            "hello-browser",
            "Hello, asked with 12 headers of a browser, cookies among them",
            "bench.apps.hello:app",
            small("/", hello.BODY, kind="browser"),
            USUAL,
            (Bar("cpu_us", 1.35, "floor"), Bar("cpu_us", 0.80, "best peer")),
            ("floor", *PEERS),
        ),
        Workload(
            "access-log",
            "Hello with the access log in its default format, to a file",
            "bench.apps.hello:app",
            small("/", hello.BODY),
            USUAL,
            (Bar("cpu_us", 1.0, "pronghorn", plus=1.5, of="pronghorn-log"),),
            ("pronghorn-log",),
        ),
        Workload(
            "few",
            "Hello on 4 connections",
            "bench.apps.hello:app",
            small("/", hello.BODY, connections=4),
            USUAL,
            AHEAD,
            connections=4,
        ),
        *(
            Workload(
                name,
                title,
                "bench.apps.hello:app",
                small("/", hello.BODY),
                USUAL,
                (Bar("cpu_us", 1.0, "pronghorn", plus=3.0, of=server),),
                (server,),
            )
            for name, title, server in (
                ("json-log", "Hello with the access log as JSON, to a file", "pronghorn-json"),
                ("statsd", "Hello with metrics to statsd", "pronghorn-statsd"),
                ("request-id", "Hello with an id for each request", "pronghorn-ids"),
            )
        ),
        Workload(
            "no-length",
            "Hello without Content-Length",
            "bench.apps.hello:bare",
            small("/", hello.BODY),
            USUAL,
            AHEAD,
        ),
        Workload(
            "body-10k",
            "A body of 10 kB",
            "bench.apps.hello:large",
            small("/", hello.LARGE),
            USUAL,
            AHEAD,
            ("floor", *PEERS),
            floor=(str(len(hello.LARGE)),),
        ),
        Workload(
            "close",
            "Hello with Connection: close",
            "bench.apps.hello:app",
            closing,
            USUAL,
            AHEAD,
            ("floor", *PEERS),
            floor=("12", "close"),
        ),
        Workload(
            "flask",
            "Hello from Flask",
            "bench.apps.flask_hello:app",
            flask,
            ("cpu_us", "own_us", "app_us", "rate", "p99_ms"),
            (*AHEAD, Bar("own_us", 12.0)),
        ),
        Workload(
            "mixed",
            "Fast requests while 4 clients loop on a 0.2 s sleep, 8 threads",
            "bench.apps.slow:app",
            mixed,
            ("rate", "p99_ms", "p50_ms", "slow_rate", "cpu_us"),
            (Bar("rate", 2.0, "granian"), Bar("p99_ms", 1.0, "granian")),
            blocking=True,
            connections=20,
        ),
        Workload(
            "sleep",
            "A handler that sleeps 10 ms, 64 connections, 64 threads",
            "bench.apps.slow:app",
            small("/10", hello.BODY, connections=64),
            ("rate", "cpu_us", "p50_ms", "p99_ms"),
            (Bar("rate", 1.0, "best threaded peer"),),
            threads=64,
            blocking=True,
            connections=64,
        ),
        Workload(
            "gevent",
            "Hello by the gevent workers",
            "bench.apps.hello:app",
            small("/", hello.BODY),
            USUAL,
            (Bar("rate", 4.0, "gunicorn-gevent", of="pronghorn-gevent"),),
            GREEN,
        ),
        Workload(
            "gevent-sleep",
            "A handler that sleeps 50 ms, 1,000 connections, by the gevent workers (beside them 64 threads)",
            "bench.apps.slow:app",
            small("/50", hello.BODY, connections=1000),
            ("rate", "cpu_us", "p50_ms", "p99_ms"),
            (Bar("rate", 1.0, "gunicorn-gevent", of="pronghorn-gevent"),),
            GREEN,
            threads=64,
            blocking=True,
            connections=1000,
        ),
        Workload(
            "gevent-slow-clients",
            f"Hello by the gevent workers, beside {SLOW_CLIENTS} clients that send or read 500 bytes a second",
            "bench.apps.dawdled:app",
            beside_slow,
            ("rate", "kept", "cpu_us", "p50_ms", "p99_ms"),
            (
                Bar("kept", 80.0, of="pronghorn-gevent"),
                Bar("rate", 1.0, "gunicorn-gevent", of="pronghorn-gevent"),
            ),
            GREEN,
            connections=SLOW_CLIENTS + 32,
        ),
        Workload(
            "compute",
            f"A handler that computes for {compute.MILLISECONDS} ms in pure Python, 16 connections, 8 threads",
            "bench.apps.compute:app",
            computing,
            ("rate", "p50_ms", "p99_ms", "hello_p99_ms"),
            (
                Bar("rate", 0.95, "pronghorn-1"),
                Bar("p99_ms", 1.0, "gunicorn-gthread"),
                Bar("hello_p99_ms", 2.0 * SWITCH_INTERVAL_MS + compute.MILLISECONDS),
            ),
            ("pronghorn-1", *PEERS),
            blocking=True,
            connections=17,
        ),
        Workload(
            "upload",
            "An upload of 100 MiB, read to its end",
            "bench.apps.bulk:app",
            uploading,
            ("mib_s", "cpu_ms"),
            (Bar("mib_s", 1.0, "best peer"),),
        ),
        Workload(
            "file",
            "A file of 100 MiB by wsgi.file_wrapper",
            "bench.apps.bulk:app",
            downloading,
            ("mib_s", "cpu_ms"),
            (Bar("mib_s", 1.0, "best peer"),),
        ),
        Workload(
            "memory",
            "Memory of one worker with the hello app",
            "bench.apps.hello:app",
            memory,
            ("pss_mib",),
            (Bar("pss_mib", 1.0, "gunicorn-sync"),),
        ),
        Workload(
            "idle",
            f"{IDLE_CONNECTIONS:,} idle keep-alive connections",
            "bench.apps.hello:app",
            idle,
            ("bytes_each", "new_p99_ms", "new_idle_p99_ms", "new_ratio"),
            (Bar("bytes_each", 512.0), Bar("new_ratio", 1.5)),
            connections=IDLE_CONNECTIONS,
        ),
        Workload(
            "ticker",
            "Background threads that want to run every 50 ms",
            "bench.apps.ticker:app",
            ticking,
            (*TICKS, "rate"),
            tuple(Bar(tick, 95.0) for tick in TICKS),
        ),
        Workload(
            "pss",
            "Memory of four workers with a Flask app",
            "bench.apps.flask_hello:app",
            memory,
            ("pss_mib",),
            (),
            WITH_PRELOAD,
            workers=4,
        ),
        Workload(
            "pss-preload",
            "Memory of four workers with a Flask app, --preload",
            "bench.apps.flask_hello:app",
            memory,
            ("pss_mib",),
            (),
            WITH_PRELOAD,
            workers=4,
            preload=True,
        ),
    )
}
BEST_OF = {"best peer": PEERS, "best threaded peer": THREADED}
