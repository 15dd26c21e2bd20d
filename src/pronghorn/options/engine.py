"""What can be set about the engine: threads, queue, deadlines, limits, buffers, recycling."""

from typing import Annotated

from msgspec import Struct

from pronghorn.options.option import LONGEST, Option, Unit

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

SHORTEST = 0.1
"""Seconds; a deadline below a round trip on a bad line would only ever cut off real clients."""

MANY = 10**12
"""Requests no worker lives to see; it keeps the engine's counters within 64 bits."""


class EngineOptions(Struct, frozen=True, kw_only=True):
    """One worker's engine."""

    threads: Annotated[
        int,
        Option(
            doc="Threads of one worker that may be inside the application at the same time. With 1 the application is "
            "never called twice at once, and slow clients still hold nothing up.",
            gunicorn="threads",
            minimum=1,
            maximum=1024,
        ),
    ] = 8

    queue_limit: Annotated[
        int,
        Option(
            doc="Complete requests that may wait for a thread in one worker; more are answered 503 with Retry-After.",
            minimum=0,
            maximum=1_000_000,
        ),
    ] = 1024

    queue_timeout: Annotated[
        float,
        Option(
            doc="How long a complete request may wait for a thread before it is answered 503 with Retry-After.",
            unit=Unit.SECONDS,
            minimum=SHORTEST,
            maximum=LONGEST,
        ),
    ] = 30.0

    worker_connections: Annotated[
        int,
        Option(
            doc="Connections one worker keeps open at the same time. At the limit the one that is idle longest makes "
            "room for a new one, and while none is idle the worker stops accepting. An idle one costs some hundred "
            "bytes, so the limit is high where servers with a thread per connection need 1000. With the worker class "
            "`gevent` it bounds the greenlets too, and is 1000 unless it is set.",
            gunicorn="worker_connections",
            minimum=1,
            maximum=1_000_000,
        ),
    ] = 16384

    keepalive: Annotated[
        float,
        Option(
            doc="How long an idle connection is kept for its next request. Longer than the 60 s of common load "
            "balancers, so that they close first and never send into a closing connection. 0 closes after each "
            "response.",
            flags=("--keep-alive",),
            gunicorn="keepalive",
            unit=Unit.SECONDS,
            minimum=0,
            maximum=LONGEST,
        ),
    ] = 75.0

    header_timeout: Annotated[
        float,
        Option(
            doc="Time for a whole request head, from its first byte; then 408. It bounds slow-header attacks.",
            unit=Unit.SECONDS,
            minimum=SHORTEST,
            maximum=LONGEST,
        ),
    ] = 30.0

    body_timeout: Annotated[
        float,
        Option(
            doc="Time a request body may stand still while it is read; then 408.",
            unit=Unit.SECONDS,
            minimum=SHORTEST,
            maximum=LONGEST,
        ),
    ] = 60.0

    send_timeout: Annotated[
        float,
        Option(
            doc="Time a response may stand still because the client does not read; then the connection is closed.",
            unit=Unit.SECONDS,
            minimum=SHORTEST,
            maximum=LONGEST,
        ),
    ] = 60.0

    min_rate: Annotated[
        int,
        Option(
            doc="Bytes a second that a client has to send of a request body, or to take of a response, on average: "
            "what is slower is no progress to `body_timeout` (then 408) and `send_timeout` (then closed), so within "
            "these times any rate will do. Only time in which the server waits for the client counts. 0 turns it off. "
            "nginx has none, Apache's `mod_reqtimeout` 500, Kestrel 240.",
            unit=Unit.BYTES,
            minimum=0,
            maximum=1 * GIB,
        ),
    ] = 240

    linger_timeout: Annotated[
        float,
        Option(
            doc="How long a connection that ended with an error is still read, so that the client sees the answer "
            "instead of a reset (RFC 9112, 9.6).",
            unit=Unit.SECONDS,
            minimum=0,
            maximum=LONGEST,
        ),
    ] = 2.0

    timeout: Annotated[
        float,
        Option(
            doc="Time the application may stay silent in one request, until its response begins and between two parts "
            "of it; then 504 (or a cut) and the thread's stack in the error log. 0 means no limit.",
            flags=("--timeout", "-t"),
            gunicorn="timeout",
            unit=Unit.SECONDS,
            minimum=0,
            maximum=LONGEST,
        ),
    ] = 30.0

    limit_request_line: Annotated[
        int,
        Option(
            doc="Longest request line; a longer one is answered 414. 0: only `limit_request_head` bounds it.",
            gunicorn="limit_request_line",
            zero_is_most=True,
            unit=Unit.BYTES,
            minimum=128,
            maximum=1 * MIB,
        ),
    ] = 8 * KIB

    limit_request_fields: Annotated[
        int,
        Option(
            doc="Most header lines of a request; more are answered 431. 0: as many as can be set.",
            gunicorn="limit_request_fields",
            zero_is_most=True,
            minimum=1,
            maximum=32768,
        ),
    ] = 100

    limit_request_field_size: Annotated[
        int,
        Option(
            doc="Longest header line; a longer one is answered 431. 0: only `limit_request_head` bounds it.",
            flags=("--limit-request-field_size", "--limit-request-field-size"),
            gunicorn="limit_request_field_size",
            zero_is_most=True,
            unit=Unit.BYTES,
            minimum=128,
            maximum=1 * MIB,
        ),
    ] = 8 * KIB

    limit_request_head: Annotated[
        int,
        Option(
            doc="Largest request head, request line and all header lines together; a larger one is answered 431.",
            unit=Unit.BYTES,
            minimum=256,
            maximum=16 * MIB,
        ),
    ] = 64 * KIB

    limit_request_body: Annotated[
        int,
        Option(
            doc="Largest request body; a larger one is answered 413. Gunicorn has no limit, nginx 1 MiB.",
            unit=Unit.BYTES,
            minimum=1,
            maximum=1024 * 1024 * GIB,
        ),
    ] = 1 * GIB

    casefold_http_method: Annotated[
        bool,
        Option(
            doc="Hand methods to the application in upper case. They are case-sensitive (RFC 9110, 9.1): `get` is "
            "another method than GET, and how a response is framed goes by what was sent.",
            gunicorn="casefold_http_method",
        ),
    ] = False

    body_memory: Annotated[
        int,
        Option(
            doc="Request bodies up to this size are kept in memory, larger ones in an unlinked temporary file.",
            unit=Unit.BYTES,
            minimum=0,
            maximum=1 * GIB,
        ),
    ] = 1 * MIB

    buffer_memory: Annotated[
        int,
        Option(
            doc="Memory of one worker for request bodies and for responses that clients have not taken yet. Beyond "
            "half of it bodies go to temporary files, however small; beyond all of it responses do, and where that "
            "is not possible no further request is read until clients have taken some.",
            unit=Unit.BYTES,
            minimum=64 * KIB,
            maximum=1024 * GIB,
        ),
    ] = 256 * MIB

    spool_limit: Annotated[
        int,
        Option(
            doc="Most bytes that the temporary files of one worker may take up together; a request body for which "
            "there is no room is answered 507.",
            unit=Unit.BYTES,
            minimum=0,
            maximum=1024 * 1024 * GIB,
        ),
    ] = 16 * GIB

    spool_dir: Annotated[
        str | None,
        Option(
            doc="Directory for temporary files of large request bodies and untaken responses. A `tmpfs` there would "
            "count as memory.",
            gunicorn="tmp_upload_dir",
            metavar="DIRECTORY",
            default_text="the system's directory for temporary files",
        ),
    ] = None

    send_buffer: Annotated[
        int,
        Option(
            doc="High-water mark of a streamed response: the application is asked for no further part while this much "
            "waits for the client.",
            unit=Unit.BYTES,
            minimum=4 * KIB,
            maximum=1 * GIB,
        ),
    ] = 256 * KIB

    max_requests: Annotated[
        int,
        Option(
            doc="Requests after which a worker is replaced by a fresh one, against leaks of the application. "
            "0 means never.",
            gunicorn="max_requests",
            minimum=0,
            maximum=MANY,
        ),
    ] = 0

    max_requests_jitter: Annotated[
        int,
        Option(
            doc="Each worker adds a random number up to this to `max_requests`, so that not all are replaced at once.",
            gunicorn="max_requests_jitter",
            minimum=0,
            maximum=MANY,
        ),
    ] = 0
