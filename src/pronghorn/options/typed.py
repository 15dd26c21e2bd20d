"""The settings of one engine by name, for type checkers: `make docs` makes this from `engine.py` and `trust.py`."""

from typing import TypedDict


class EngineSettings(TypedDict, total=False):
    """What `pronghorn.testing.serve` takes of the settings."""

    threads: int
    queue_limit: int
    queue_timeout: float
    worker_connections: int
    keepalive: float
    header_timeout: float
    body_timeout: float
    send_timeout: float
    min_rate: int
    linger_timeout: float
    timeout: float
    limit_request_line: int
    limit_request_fields: int
    limit_request_field_size: int
    limit_request_head: int
    limit_request_body: int
    casefold_http_method: bool
    body_memory: int
    buffer_memory: int
    spool_limit: int
    spool_dir: str | None
    send_buffer: int
    max_requests: int
    max_requests_jitter: int
    forwarded_allow_ips: tuple[str, ...]
    secure_scheme_headers: tuple[str, ...]
    forwarder_headers: tuple[str, ...]
    header_map: str
    proxy_protocol: str
    proxy_allow_ips: tuple[str, ...]
    uwsgi_allow_ips: tuple[str, ...]
