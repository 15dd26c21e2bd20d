"""What Gunicorn's configuration files may hold that is no setting of this version."""

HOOKS = frozenset({
    "on_starting", "on_reload", "when_ready", "pre_fork", "post_fork", "post_worker_init", "worker_int",
    "worker_abort", "pre_exec", "pre_request", "post_request", "child_exit", "worker_exit", "nworkers_changed",
    "on_exit", "ssl_context",
})  # fmt: skip

SETTINGS = frozenset({
    "ca_certs", "capture_output", "cert_reqs", "certfile", "check_config", "ciphers", "config", "daemon",
    "default_proc_name", "disable_redirect_access_to_syslog", "dogstatsd_tags", "do_handshake_on_connect",
    "enable_stdio_inheritance", "forwarder_headers", "header_map", "keyfile", "logconfig",
    "logconfig_dict", "logconfig_json", "logger_class", "paste", "permit_obsolete_folding",
    "permit_unconventional_http_method", "permit_unconventional_http_version", "print_config", "proxy_allow_ips",
    "proxy_protocol", "raw_paste_global_conf", "reload", "reload_engine", "reload_extra_files", "reuse_port",
    "secure_scheme_headers", "sendfile", "spew", "ssl_version", "statsd_host", "statsd_prefix", "strip_header_spaces",
    "suppress_ragged_eofs", "syslog", "syslog_addr", "syslog_facility", "syslog_prefix", "tmp_upload_dir", "umask",
    "worker_tmp_dir",
})  # fmt: skip
"""A name here is told apart from a misspelt one."""
