"""Several mistakes at once, in all the places that settings come from: a line for each, with its origin."""

import os
import sys

import pytest
from tests.support.process import run

APPLICATION = "def app(environ, start_response): ...\n"
NO_OPTION = "there is no such option. Did you mean"


@pytest.fixture
def shop(tmp_path):
    """A folder with an application."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    return tmp_path


def mistakes(folder, *arguments: str, **environ: str) -> list[str]:
    result = run(folder, *arguments, **environ)
    assert (result.returncode, result.stdout) == (2, "")
    return [line.removeprefix("pronghorn: ") for line in result.stderr.splitlines()]


def test_unknown_options_hide_nothing(shop):
    words = ("--wokers", "3", "--treads=4", "--threads", "0", "shop:app", "--timeout")
    environ = {"PRONGHORN_WORKRS": "3", "WEB_CONCURRENCY": "x", "GUNICORN_CMD_ARGS": "--relod --backlog many"}
    assert mistakes(shop, *words, **environ) == [
        f"environment GUNICORN_CMD_ARGS: --relod: {NO_OPTION} --reload or --preload or --no-reload?",
        f"--wokers: {NO_OPTION} --workers or --worker-class?",
        f"--treads: {NO_OPTION} --threads or --reload or --preload?",
        "--timeout: it requires an argument.",
        "environment: PRONGHORN_WORKRS is not a setting; did you mean PRONGHORN_WORKERS?",
        "environment WEB_CONCURRENCY: workers must be a whole number, not 'x'",
        "environment GUNICORN_CMD_ARGS: backlog must be a whole number, not 'many'",
        "--threads: threads must be at least 1, not '0'",
    ]


@pytest.mark.parametrize(("word", "option"), [("-xw3", "-x"), ("-Rx3", "-x"), ("-éR", "-é"), ("-Rb", None)])
def test_an_unknown_option_among_short_ones_hides_nothing(shop, word, option):
    told = f"{option} in {word}: there is no such option." if option else f"-b in {word}: it requires an argument."
    assert mistakes(shop, "shop:app", "--wokers", "3", "-w", "three", word) == [
        f"--wokers: {NO_OPTION} --workers or --worker-class?",
        told,
        "--workers: workers must be a whole number, not 'three'",
    ]


def test_a_second_argument_is_told_what_the_one_is(shop):
    assert mistakes(shop, "run", "shop:app", "--threads", "0") == [
        "argument shop:app: there is one argument, the application (module:attribute), and 'run' is it; leave run out",
        "--threads: threads must be at least 1, not '0'",
    ]


def test_what_a_program_gives_is_checked_beside_what_is_no_setting(shop):
    program = "import pronghorn; pronghorn.run('shop:app', worker=2, bind='127.0.0.1:99999')"
    lines = run(shop, command=(sys.executable, "-c", program)).stderr.splitlines()
    assert lines[-2].endswith("run(): worker is not a setting; did you mean workers?")
    assert lines[-1] == "run(bind=…): bind '127.0.0.1:99999' has no port from 0 to 65535: write host:port"


def test_warnings_stand_before_the_mistakes(shop):
    (shop / "gunicorn.conf.py").write_text("workrs = 3\nthreads = 0\n")
    assert mistakes(shop, "shop:app") == [
        "warning: gunicorn.conf.py:1: workrs is not a setting; did you mean workers?",
        "gunicorn.conf.py:2: threads must be at least 1, not 0",
    ]


@pytest.mark.parametrize("check", [(), ("--check-config",)])
def test_files_and_formats_are_tried_with_the_rest(shop, check):
    words = ("--access-logfile", ".", "--access-logformat", "%(h)", "-p", "none/pid", "--timeout", "-5", "shop:app")
    assert mistakes(shop, *check, *words, PRONGHORN_ERRORLOG="/none/x") == [
        "--timeout: timeout must not be negative, as '-5' is: write 30, 30s, 1.5m, 500ms or 2h",
        (
            "--access-logformat: access_log_format has '%(h)' at character 1, which is no atom; write %(h)s, "
            "%({user-agent}i)s and the like, and %% for a percent sign"
        ),
        (
            "environment PRONGHORN_ERRORLOG: errorlog '/none/x' cannot be written (No such file or directory); "
            "name a file this user may write, or - for standard error"
        ),
        (
            "--access-logfile: accesslog '.' cannot be written (Is a directory); "
            "name a file this user may write, or - for standard output"
        ),
        (
            "--pid: pidfile 'none/pid' cannot be written (No such file or directory); "
            "name a file in a folder this user may write"
        ),
    ]


def test_trying_leaves_nothing_behind_and_what_can_be_written_is_right(shop):
    os.mkfifo(shop / "fifo")
    (shop / "link").symlink_to(shop / "later.log")
    words = ("--error-logfile", "link", "--access-logfile", "fifo", "-p", "here.pid", "shop:app")
    before = sorted(shop.iterdir())
    assert run(shop, "--check-config", *words, PYTHONDONTWRITEBYTECODE="1").returncode == 0
    assert sorted(shop.iterdir()) == before
    for log in ("/dev/stdout", "/proc/self/fd/2", "/dev/null", "-"):
        assert run(shop, "--check-config", "--error-logfile", log, "shop:app").returncode == 0
