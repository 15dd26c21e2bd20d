"""Merging: which source wins, where each value comes from, all problems at once."""

from pathlib import Path

import pytest

from pronghorn.errors import SettingsError
from pronghorn.options import Settings
from pronghorn.settings import Given, Loaded, load, load_from

APP = Given("app", "app:app", "argument APP")

NO_TLS = "this version has no TLS; have a load balancer or a proxy in front end it"


def loaded(cwd: Path, *given: Given, environ: dict[str, str] | None = None, config: str | None = None) -> Loaded:
    return load([APP, *given], environ or {}, cwd, config=config and Given("config", config, "--config"))


def problems(cwd: Path, *given: Given, environ: dict[str, str] | None = None, config: str | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(cwd, *given, environ=environ, config=config)
    assert caught.value.exit_status == 2
    return list(caught.value.problems)


def write(path: Path, text: str) -> None:
    path.write_text(text)


def test_defaults(tmp_path):
    result = loaded(tmp_path)
    assert result.settings.engine == Settings().engine
    assert result.settings.network.bind == ("127.0.0.1:8000",)
    assert result.settings.fleet.workers >= 1
    assert result.origins["threads"] == "default"
    assert result.origins["app"] == "argument APP"


def test_each_source_wins_over_the_one_before(tmp_path):
    def workers(**environ: str) -> tuple[int, str]:
        result = loaded(tmp_path, environ=environ)
        return result.settings.fleet.workers, result.origins["workers"]

    assert workers(WEB_CONCURRENCY="10") == (10, "environment WEB_CONCURRENCY")
    write(tmp_path / "gunicorn.conf.py", "import os\n\nworkers = 11\n")
    assert workers() == (11, "gunicorn.conf.py:3")
    write(tmp_path / "pronghorn.conf.py", "workers = 12\n")
    assert workers() == (12, "pronghorn.conf.py:1")
    write(tmp_path / "pyproject.toml", '[project]\nname = "x"\n\n[tool.pronghorn]\nworkers = 13\n')
    assert workers() == (13, "pyproject.toml:5:[tool.pronghorn]")
    write(tmp_path / "pronghorn.toml", "# ours\n\nthreads = 3\nworkers = 14\n")
    assert workers() == (14, "pronghorn.toml:4")
    assert workers(WEB_CONCURRENCY="15") == (14, "pronghorn.toml:4")
    assert workers(WEB_CONCURRENCY="15", PRONGHORN_WORKERS="16") == (16, "environment PRONGHORN_WORKERS")
    result = loaded(tmp_path, Given("workers", "17", "--workers"), environ={"WEB_CONCURRENCY": "15"})
    assert (result.settings.fleet.workers, result.origins["workers"]) == (17, "--workers")
    assert result.settings.engine.threads == 3


def test_a_named_file_is_the_only_one(tmp_path):
    write(tmp_path / "pronghorn.toml", "workers = 9\n")
    write(tmp_path / "other.toml", "threads = 2\n")
    result = loaded(tmp_path, config="other.toml")
    assert result.origins["workers"] == "default"
    assert result.origins["threads"] == "other.toml:1"


def test_a_named_file_that_is_not_there(tmp_path):
    assert problems(tmp_path, config="none.toml") == ["--config: none.toml: No such file or directory"]
    assert problems(tmp_path, config="none.py") == ["--config: none.py: No such file or directory"]


def test_the_default_bind(tmp_path):
    assert loaded(tmp_path).settings.network.bind == ("127.0.0.1:8000",)


def test_port(tmp_path):
    result = loaded(tmp_path, environ={"PORT": "5000"})
    assert result.settings.network.bind == ("0.0.0.0:5000",)
    assert result.origins["bind"] == "environment PORT"
    assert loaded(tmp_path, Given("bind", ":1", "--bind"), environ={"PORT": "x"}).settings.network.bind == (":1",)
    (problem,) = problems(tmp_path, environ={"PORT": "x"})
    assert problem.startswith("environment PORT: bind '0.0.0.0:x' has no port")


def test_empty_variables_count_as_not_set(tmp_path):
    result = loaded(tmp_path, environ={"WEB_CONCURRENCY": "", "PORT": "", "PRONGHORN_THREADS": ""})
    assert {result.origins[name] for name in ("workers", "bind", "threads")} == {"default"}


def test_forwarded_allow_ips(tmp_path):
    result = loaded(tmp_path, environ={"FORWARDED_ALLOW_IPS": "10.0.0.0/8"})
    assert result.settings.trust.forwarded_allow_ips == ("10.0.0.0/8",)


def test_all_problems_at_once(tmp_path):
    write(tmp_path / "pronghorn.toml", 'bind = ["8000"]\nworker = 3\n\ntimeout = """\nsoon"""\nworkers = "many"\n')
    write(tmp_path / "gunicorn.conf.py", "certfile = 'x'\n")
    environ = {"WEB_CONCURRENCY": "0", "PRONGHORN_THREADZ": "2"}
    assert problems(tmp_path, Given("keepalive", "3x", "--keep-alive"), environ=environ) == [
        "pronghorn.toml:2: worker is not a setting; did you mean workers?",
        "environment: PRONGHORN_THREADZ is not a setting; did you mean PRONGHORN_THREADS?",
        "environment WEB_CONCURRENCY: workers must be at least 1, not '0'",
        "gunicorn.conf.py:1: certfile is not supported: " + NO_TLS,
        "pronghorn.toml:1: bind '8000' is not an address: write :8000 or 127.0.0.1:8000",
        "pronghorn.toml:4: timeout 'soon' is not a duration: write 30, 30s, 1.5m, 500ms or 2h",
        "pronghorn.toml:6: workers must be a whole number, not 'many'",
        "--keep-alive: keepalive '3x' is not a duration: write 30, 30s, 1.5m, 500ms or 2h",
    ]


def test_no_application(tmp_path):
    with pytest.raises(SettingsError, match="no application"):
        load([], {}, tmp_path)
    assert load([], {}, tmp_path, needs_app=False).settings.app.app == ""


def test_gunicorns_name_of_the_application(tmp_path):
    write(tmp_path / "gunicorn.conf.py", "wsgi_app = 'shop:app'\n")
    result = load([], {}, tmp_path)
    assert (result.settings.app.app, result.origins["app"]) == ("shop:app", "gunicorn.conf.py:1")


def test_sync_means_one_thread_unless_threads_is_set(tmp_path):
    sync = Given("worker_class", "sync", "--worker-class")
    result = loaded(tmp_path, sync)
    assert result.settings.engine.threads == 1
    assert result.origins["threads"] == "worker_class sync (--worker-class)"
    assert loaded(tmp_path, sync, Given("threads", "4", "--threads")).settings.engine.threads == 4
    assert loaded(tmp_path, Given("worker_class", "gthread", "-k")).settings.engine.threads == 8


def test_gevent_means_a_thousand_connections_unless_they_are_set(tmp_path):
    gevent = Given("worker_class", "gevent", "-k")
    result = loaded(tmp_path, gevent)
    assert result.settings.engine.worker_connections == 1000
    assert result.origins["worker_connections"] == "worker_class gevent (-k)"
    more = Given("worker_connections", "2000", "--worker-connections")
    assert loaded(tmp_path, gevent, more).settings.engine.worker_connections == 2000
    assert loaded(tmp_path).settings.engine.worker_connections == 16384


def test_chdir_is_absolute_so_that_a_reload_finds_it_again(tmp_path):
    (tmp_path / "web").mkdir()
    assert loaded(tmp_path, Given("chdir", "web", "--chdir")).settings.app.chdir == str(tmp_path / "web")
    assert problems(tmp_path, Given("chdir", "none", "--chdir")) == [
        f"--chdir: chdir '{tmp_path / 'none'}' is not a directory"
    ]


def test_limits_that_contradict_each_other(tmp_path):
    (problem,) = problems(tmp_path, Given("limit_request_field_size", "128k", "--limit-request-field_size"))
    assert problem == (
        "--limit-request-field_size: limit_request_field_size is more than limit_request_head, 64 KiB (default); "
        "raise limit_request_head too"
    )
    raised = Given("limit_request_head", "256k", "--limit-request-head")
    assert loaded(tmp_path, raised, Given("limit_request_field_size", "128k", "-")).settings.engine


def test_kubernetes_service_links_are_not_settings(tmp_path):
    links = {
        "PRONGHORN_SERVICE_HOST": "10.0.0.1",
        "PRONGHORN_SERVICE_PORT": "80",
        "PRONGHORN_SERVICE_PORT_HTTP": "80",
        "PRONGHORN_PORT": "tcp://10.0.0.1:80",
        "PRONGHORN_PORT_80_TCP": "tcp://10.0.0.1:80",
        "PRONGHORN_PORT_80_TCP_ADDR": "10.0.0.1",
        "PRONGHORN_BLUE_SERVICE_HOST": "10.0.0.2",
    }
    assert loaded(tmp_path, environ=links).settings.network.bind == ("127.0.0.1:8000",)


def test_load_from_a_program(tmp_path):
    write(tmp_path / "pronghorn.toml", "threads = 5\n")
    result = load_from("shop:app", {}, tmp_path, workers=2, bind="127.0.0.1:0", timeout="1m")
    assert result.settings.fleet.workers == 2
    assert result.settings.engine.threads == 5
    assert result.origins["workers"] == "run(workers=…)"
    with pytest.raises(SettingsError) as caught:
        load_from("shop:app", {}, tmp_path, worker=2, bindd=":1", threads=0)
    assert caught.value.problems == (
        "run(): worker is not a setting; did you mean workers?",
        "run(): bindd is not a setting; did you mean bind?",
        "run(threads=…): threads must be at least 1, not 0",
    )
    with pytest.raises(SettingsError, match=r"^run\(config=…\): none\.py: No such file or directory$"):
        load_from("shop:app", {}, tmp_path, config=Path("none.py"))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pronghorn.toml", '"work\\ners\\u001b[31m" = 3\n'),
        ("gunicorn.conf.py", "raise ValueError('two\\nlines\\x1b[31m')\n"),
    ],
)
def test_a_problem_is_one_line_that_gives_a_terminal_no_orders(tmp_path, file, text):
    write(tmp_path / file, text)
    (problem,) = problems(tmp_path, environ={})
    assert problem.isprintable()
    assert "\\n" in problem
    assert "\\x1b" in problem


def test_names_in_the_environment_are_shown_printable(tmp_path):
    (problem,) = problems(tmp_path, environ={"PRONGHORN_WORK\x1b[31mERS": "3"})
    assert problem.startswith("environment: PRONGHORN_WORK\\x1b[31mERS is not a setting")
