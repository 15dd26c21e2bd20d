"""Every setting of Gunicorn is honoured, or answered from the table; none is unknown, none is ignored."""

import sys
from pathlib import Path

import pytest
from tests.support.gunicorn_facts import GUNICORN
from tests.support.process import run

from pronghorn.cli.command import build_command
from pronghorn.cli.parameters import given_in
from pronghorn.errors import SettingsError
from pronghorn.options.table import TABLE
from pronghorn.settings import Given, load
from pronghorn.settings.differences import DIFFERENCES
from pronghorn.settings.gunicorn import ABSENT, COMMAND, Fate, Takes
from pronghorn.settings.hooks import HOOKS

HONOURED = {entry.option.gunicorn: entry for entry in TABLE.values() if entry.option.gunicorn}
APP = Given("app", "app:app", "argument APP")
SOMETHING = "something"


def test_all_of_them_and_each_once():
    named = [*HONOURED, *ABSENT, *HOOKS, *COMMAND]
    assert len(named) == len(set(named))
    assert set(named) == set(GUNICORN)
    assert len(GUNICORN) == 120


def test_hooks_are_the_functions_that_gunicorn_calls():
    assert set(HOOKS) == {name for name, (_, takes) in GUNICORN.items() if takes == "hook"}


def test_every_option_of_gunicorn_is_one_here():
    for name, (flags, takes) in GUNICORN.items():
        if name in HONOURED:
            assert set(flags.split()) <= set(HONOURED[name].flags), name
            assert (takes == "perhaps") == (HONOURED[name].option.bare is not None), name
        elif name in ABSENT:
            assert set(flags.split()) == set(ABSENT[name].flags), name
            kinds = {Takes.VALUE: "a value", Takes.NOTHING: "nothing"}
            assert not flags or kinds[ABSENT[name].takes] == takes, name


def test_differences_are_of_settings_that_work():
    assert set(DIFFERENCES) <= {*HONOURED, *COMMAND}


def answer(cwd: Path, *given: Given, environ: dict[str, str] | None = None) -> tuple[list[str], list[str]]:
    """The problems and the warnings."""
    try:
        return [], list(load([APP, *given], environ or {}, cwd).warnings)
    except SettingsError as error:
        return list(error.problems), []


@pytest.mark.parametrize("name", ABSENT)
def test_what_asks_for_something_is_answered_and_names_what_is_nearest(tmp_path, name):
    absent = ABSENT[name]
    value = absent.stands_for if absent.takes is not Takes.VALUE else SOMETHING
    problems, warnings = answer(tmp_path, Given(name, value, "here"))
    assert len(problems) == (absent.fate is Fate.REFUSED)
    assert len(warnings) == (absent.fate is Fate.LEFT)
    for line in (*problems, *warnings):
        assert line.startswith(f"here: {name} ")
        assert line.endswith(absent.instead)
        assert "\n" not in line
    assert absent.instead or absent.fate is Fate.HELD


QUIET = [
    ("sendfile", None), ("sendfile", True), ("certfile", None), ("cert_reqs", 0), ("ssl_version", 2),
    ("suppress_ragged_eofs", True), ("do_handshake_on_connect", False), ("daemon", "False"), ("header_map", "drop"),
    ("proxy_protocol", False), ("proxy_protocol", "off"), ("proxy_allow_ips", "127.0.0.1,::1"), ("protocol", "http"),
    ("secure_scheme_headers",
     {"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"}),
    ("forwarder_headers", "SCRIPT_NAME,PATH_INFO"), ("logconfig_dict", {}), ("logconfig", None), ("umask", 0),
    ("logger_class", "gunicorn.glogging.Logger"),
    ("http_parser", "auto"), ("http_protocols", "h1"), ("http2_cleartext", "off"), ("asgi_loop", "auto"),
    ("dirty_apps", []), ("dirty_workers", 0), ("raw_paste_global_conf", []), ("statsd_prefix", ""),
    ("syslog_facility", "user"), ("root_path", ""), ("worker_tmp_dir", None), ("uwsgi_allow_ips", "127.0.0.1,::1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), QUIET)
def test_what_asks_for_nothing_is_not_answered(tmp_path, name, value):
    assert answer(tmp_path, Given(name, value, "here")) == ([], [])


VALUES = {
    "bind": ":0",
    "worker_class": "sync",
    "raw_env": "A=1",
    "loglevel": "info",
    "forwarded_allow_ips": "*",
    "user": "0",
    "group": "0",
    "umask": "022",
    "reload_engine": "poll",
    "logger_class": "shop.Logger",
    "syslog_addr": "udp://localhost",
    "syslog_facility": "user",
    "proxy_allow_ips": "10.0.0.0/8",
    "uwsgi_allow_ips": "10.0.0.0/8",
    "protocol": "uwsgi",
    "forwarder_headers": "REMOTE_USER",
    "header_map": "refuse",
}
"""Where `200` would be no value."""


@pytest.mark.parametrize("name", [name for name, (flags, _) in GUNICORN.items() if flags and name not in COMMAND])
def test_every_option_is_taken_by_the_command(tmp_path, name):
    flags, takes = GUNICORN[name]
    (tmp_path / "200").mkdir()
    for flag in flags.split():
        words = [flag] if takes != "a value" else [flag, VALUES.get(name, "200")]
        # In front, as one that may have a value would take it for that.
        given = given_in(build_command().make_context("pronghorn", ["app:app", *words]))
        problems, warnings = answer(tmp_path, *given)
        fate = ABSENT[name].fate if name in ABSENT else None
        assert (len(problems), len(warnings)) == (fate is Fate.REFUSED, fate is Fate.LEFT)
        assert fate is not None or (HONOURED[name].name in {setting.name for setting in given})


@pytest.mark.parametrize("source", ["toml", "environment", "program", "arguments"])
def test_every_source_is_answered(tmp_path, source):
    environ = {}
    if source == "toml":
        (tmp_path / "pronghorn.toml").write_text('certfile = "x"\n')
    elif source == "environment":
        environ = {"PRONGHORN_CERTFILE": "x"}
    elif source == "arguments":
        environ = {"GUNICORN_CMD_ARGS": "--certfile x"}
    if source == "program":
        command = [sys.executable, "-c", "import pronghorn; pronghorn.run('app:app', certfile='x')"]
        result = run(tmp_path, command=command)
    else:
        result = run(tmp_path, "--print-config", **environ)
    assert "certfile is not supported: this version has no TLS" in result.stderr
    assert "not a setting" not in result.stderr


def test_the_variable_of_sendfile(tmp_path):
    assert answer(tmp_path, environ={"SENDFILE": "yes"}) == ([], [])
    problems, (warning,) = answer(tmp_path, environ={"SENDFILE": "no"})
    assert problems == []
    assert warning.startswith("environment SENDFILE: sendfile has no effect: ")
