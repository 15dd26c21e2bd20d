"""The command, started as a process."""

import sys
import tomllib
from pathlib import Path

import pytest
from tests.support.process import SCRIPT, run

from pronghorn import __version__
from pronghorn.options.table import TABLE


def printed(cwd: Path, *arguments: str, **environ: str) -> dict[str, tuple[object, str]]:
    """Value and origin of each setting that --print-config shows."""
    result = run(cwd, "--print-config", *arguments, **environ)
    assert (result.returncode, result.stderr) == (0, "")
    rows = [line.split("  # ") for line in result.stdout.splitlines() if " = " in line]
    origins = {row[0].split(" = ")[0]: row[-1] for row in rows}
    return {name: (value, origins[name]) for name, value in tomllib.loads(result.stdout).items()}


def test_version(tmp_path):
    assert run(tmp_path, "--version").stdout == f"pronghorn {__version__}\n"


def test_the_console_script(tmp_path):
    assert run(tmp_path, "--version", command=SCRIPT).stdout == f"pronghorn {__version__}\n"


def test_help_names_every_option_with_its_default(tmp_path):
    result = run(tmp_path, "--help")
    assert result.returncode == 0
    for entry in TABLE.values():
        assert all(flag in result.stdout for flag in entry.flags)
    assert "--check-config" in result.stdout
    assert "[default: 75 s;" in " ".join(result.stdout.split())
    assert "One worker's engine:" in result.stdout


def test_an_unknown_option(tmp_path):
    result = run(tmp_path, "--wokers", "2", "app:app")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("pronghorn: ")
    assert "--wokers" in result.stderr
    assert "--workers" in result.stderr


def test_two_applications(tmp_path):
    result = run(tmp_path, "app:app", "other:app")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)


def test_no_application(tmp_path):
    result = run(tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("pronghorn: no application: ")


def test_every_problem_on_a_line_of_its_own(tmp_path):
    (tmp_path / "pronghorn.toml").write_text("threads = 2\ntimeout = 'soon'\nworker = 2\n")
    result = run(tmp_path, "--workers", "0", "app:app", WEB_CONCURRENCY="many")
    assert result.returncode == 2
    assert result.stderr == (
        "pronghorn: pronghorn.toml:3: worker is not a setting; did you mean workers?\n"
        "pronghorn: environment WEB_CONCURRENCY: workers must be a whole number, not 'many'\n"
        "pronghorn: pronghorn.toml:2: timeout 'soon' is not a duration: write 30, 30s, 1.5m, 500ms or 2h\n"
        "pronghorn: --workers: workers must be at least 1, not '0'\n"
    )


def test_print_config_shows_values_and_origins(tmp_path):
    (tmp_path / "pronghorn.toml").write_text("\nthreads = 2\n")
    settings = printed(
        tmp_path, "-w", "3", "-b", ":1", "-b", "[::1]:2", "--no-preload", "shop:app", PRONGHORN_BACKLOG="9"
    )
    assert settings["workers"] == (3, "--workers")
    assert settings["bind"] == ([":1", "[::1]:2"], "--bind")
    assert settings["threads"] == (2, "pronghorn.toml:2")
    assert settings["backlog"] == (9, "environment PRONGHORN_BACKLOG")
    assert settings["preload_app"] == (False, "--no-preload")
    assert settings["app"] == ("shop:app", "argument APP")
    assert settings["keepalive"] == (75, "default")


def test_what_print_config_prints_is_a_configuration_file(tmp_path):
    before = run(tmp_path, "--print-config", "-t", "1.5s", "-e", 'QUOTE="\\"').stdout
    (tmp_path / "pronghorn.toml").write_text(before)
    after = run(tmp_path, "--print-config").stdout
    assert tomllib.loads(after) == tomllib.loads(before)


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--workers", "4"], "workers", 4),
        (["-w4"], "workers", 4),
        (["--threads=2"], "threads", 2),
        (["-k", "sync"], "worker_class", "sync"),
        (["-k", "sync"], "threads", 1),
        (["-t", "90"], "timeout", 90),
        (["--graceful-timeout", "1m"], "graceful_timeout", 60),
        (["--keep-alive", "5"], "keepalive", 5),
        (["--preload"], "preload_app", True),
        (["-e", "A=1,2", "-e", "B=3"], "raw_env", ["A=1,2", "B=3"]),
        (["-n", "shop"], "proc_name", "shop"),
        (["-p", "/run/shop.pid"], "pidfile", "/run/shop.pid"),
        (["--limit-request-field_size", "16k"], "limit_request_field_size", 16384),
        (["--limit-request-field-size", "16k"], "limit_request_field_size", 16384),
        (["--log-file", "x.log"], "errorlog", "x.log"),
        (["--error-logfile", "-"], "errorlog", "-"),
        (["--access-logfile", "-"], "accesslog", "-"),
        (["--access-logformat", "%(h)s"], "access_log_format", "%(h)s"),
        (["--forwarded-allow-ips", "*"], "forwarded_allow_ips", ["*"]),
        (["--pythonpath", "a,b"], "pythonpath", ["a", "b"]),
    ],
)
def test_gunicorns_options(tmp_path, arguments, name, value):
    assert printed(tmp_path, *arguments)[name][0] == value


def test_gunicorns_arguments_in_the_environment(tmp_path):
    (tmp_path / "extra.toml").write_text("backlog = 7\n")
    settings = printed(tmp_path, "-w", "3", GUNICORN_CMD_ARGS="-w 5 --bind ':7' -c extra.toml", WEB_CONCURRENCY="9")
    assert settings["workers"] == (3, "--workers")
    assert settings["bind"] == ([":7"], "environment GUNICORN_CMD_ARGS")
    assert settings["backlog"] == (7, "extra.toml:1")


@pytest.mark.parametrize("text", ["--relod", "'", "--check-config=3"])
def test_gunicorns_arguments_that_cannot_be_read(tmp_path, text):
    result = run(tmp_path, "--print-config", GUNICORN_CMD_ARGS=text)
    assert result.returncode == 2
    assert result.stderr.startswith("pronghorn: environment GUNICORN_CMD_ARGS: ")
    assert result.stderr.count("\n") == 1


def test_a_gunicorn_configuration_file(tmp_path):
    (tmp_path / "conf.py").write_text("workers = 2\ndef ssl_context(config, default):\n    pass\n")
    result = run(tmp_path, "--print-config", "-c", "conf.py", "app:app")
    assert result.returncode == 0
    assert "workers = 2" in result.stdout
    why = "it makes the TLS context, and this version has no TLS"
    assert result.stderr == f"pronghorn: warning: conf.py:2: ssl_context is never called: {why}\n"


def test_importing_the_package_is_cheap(tmp_path):
    code = "import sys; before = set(sys.modules); import pronghorn; print(*sorted(set(sys.modules) - before))"
    result = run(tmp_path, command=[sys.executable, "-c", code])
    assert result.stdout == "pronghorn\n"


def test_run_reports_unknown_settings_as_an_exception(tmp_path):
    code = (
        "import pronghorn\ntry:\n    pronghorn.run('app:app', worker=2)\nexcept Exception as error:\n    print(error)"
    )
    result = run(tmp_path, command=[sys.executable, "-c", code])
    assert result.stdout == "run(): worker is not a setting; did you mean workers?\n"


def test_an_option_that_nobody_means_is_not_suggested(tmp_path):
    """`--dirty-workers` is known, to be answered for, and hidden."""
    result = run(tmp_path, "--worker", "2", "app:app")
    assert result.stderr.endswith(" Did you mean --workers or --worker-class?\n")


def test_permission_bits_are_printed_as_people_read_them(tmp_path):
    assert "umask = 0o027 " in run(tmp_path, "--print-config", "--umask", "027").stdout
    assert printed(tmp_path, "--umask", "027")["umask"] == (0o027, "--umask")
