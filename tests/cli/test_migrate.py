"""pronghorn migrate: each form in which Gunicorn is started, as it is found in the field."""

import stat
import subprocess
from pathlib import Path

import pytest
from tests.support.process import SCRIPT, Server, run

from pronghorn.cli.migration.command import translate
from pronghorn.cli.migration.files import migrate
from pronghorn.cli.migration.words import Kind, split


def migrated(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(cwd, "migrate", *arguments)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a 'b c' \"d $e\" f\\ g", ["a", "b c", "d $e", "f g"]),
        ("a ${PORT:-8000} $(nproc --all) `id -u` $((2 * $(nproc) + 1))",
         ["a", "${PORT:-8000}", "$(nproc --all)", "`id -u`", "$((2 * $(nproc) + 1))"]),
        ("a \\\n  b # c\nd", ["a", "b", "d"]),
        ('a"b"\'c\' "\\"\\$"', ["abc", '"$']),
        ("a >log 2>&1 b < in c >> 'x y' d", ["a", "b", "c", "d"]),
        ("x=$$ a#b %n $", ["x=$$", "a#b", "%n", "$"]),
        ("", []),
    ],
)  # fmt: skip
def test_words(line, words):
    assert [word.text for word in split(line) if word.kind is Kind.WORD] == words


@pytest.mark.parametrize("line", ["a 'b", 'a "b', "a $(b", "a ${b", "a `b", "a \\"])
def test_words_that_do_not_end(line):
    with pytest.raises(ValueError, match="no"):
        split(line)


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("gunicorn app:app", "pronghorn app:app"),
        ("gunicorn -w 4 -b :8000 app:app --timeout=60", "pronghorn -w 4 -b :8000 app:app --timeout=60"),
        ("/srv/venv/bin/gunicorn3 app:app", "/srv/venv/bin/pronghorn app:app"),
        ("A=1 B='x y' exec gunicorn app:app", "A=1 B='x y' exec pronghorn app:app"),
        ("python -m gunicorn app:app", "python -m pronghorn app:app"),
        ("python3 -m gunicorn.app.wsgiapp app:app", "python3 -m pronghorn app:app"),
        ("poetry run gunicorn app:app", "poetry run pronghorn app:app"),
        ("newrelic-admin run-program gunicorn app:app", "newrelic-admin run-program pronghorn app:app"),
        ("python manage.py migrate && gunicorn app:app &", "python manage.py migrate && pronghorn app:app &"),
        ("pip install gunicorn; gunicorn app:app", "pip install gunicorn; pronghorn app:app"),
        ("gunicorn -b :${PORT:-8000} -w $(nproc --all) a:b", "pronghorn -b :${PORT:-8000} -w $(nproc --all) a:b"),
        ("gunicorn --worker-tmp-dir /dev/shm app:app", "pronghorn app:app"),
        ("gunicorn --worker-tmp-dir=/dev/shm app:app", "pronghorn app:app"),
        ("gunicorn --worker-tmp /dev/shm app:app", "pronghorn app:app"),
        ("gunicorn \\\n  --spew \\\n  app:app \\\n  -w 2", "pronghorn \\\n  app:app \\\n  -w 2"),
        ('gunicorn app:app --asgi-loop "$LOOP" >x 2>&1', "pronghorn app:app >x 2>&1"),
        ("gunicorn --no-sendfile -R --protocol http app:app", "pronghorn -R --protocol http app:app"),
        ("bash -c 'source env && exec gunicorn --spew app:app'", "bash -c 'source env && exec pronghorn app:app'"),
        ('sh -lc "gunicorn -b :$PORT \\"app:create()\\""', 'sh -lc "pronghorn -b :$PORT \\"app:create()\\""'),
        ("'gunicorn' 'app:create()'", "'pronghorn' 'app:create()'"),
    ],
)  # fmt: skip
def test_commands(line, new):
    translated = translate(line)
    assert translated is not None
    assert translated[0] == new
    assert not any(note.grave for note in translated[1])


@pytest.mark.parametrize("line", ["pip install gunicorn", "celery -A shop worker", "pkill -HUP gunicorn", ""])
def test_what_starts_no_gunicorn(line):
    assert translate(line) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--certfile x", "--certfile: no equivalent: this version has no TLS; have a load balancer"),
        ("--proxy-protocol v3", "--proxy-protocol: proxy_protocol must be one of off, auto, v1, v2, not 'v3'"),
        ("--header-map dangerous", "--header-map: header_map dangerous would let X_Forwarded_For pass"),
        ("--forwarder-headers *", "--forwarder-headers: forwarder_headers * would let every X_Some_Header pass"),
        ("--paste conf.ini", "--paste: no equivalent: PasteDeploy files are not read"),
        ("-D", "-D: no equivalent: the server stays in the foreground"),
        ("-k uvicorn.workers.UvicornWorker", "-k: worker_class 'uvicorn.workers.UvicornWorker' is for ASGI"),
        ("-k shop.workers.Own", "-k shop.workers.Own: a class that is written for Gunicorn has to be changed"),
        ("-w many", "-w: workers must be a whole number, not 'many'"),
        ("--wokers 3", "--wokers: it is not understood"),
        ("other:app", "more than one application is named"),
    ],
)
def test_what_has_no_equivalent(arguments, words):
    translated = translate(f"gunicorn app:app {arguments}")
    assert translated is not None
    grave = [note.text for note in translated[1] if note.grave]
    assert grave
    assert grave[0].startswith(words)


def notes(line: str) -> str:
    translated = translate(line)
    assert translated is not None
    return "\n".join(note.text for note in translated[1])


def test_what_is_not_set_is_told():
    told = notes("gunicorn app:app")
    assert "threads is not set" in told
    assert "`--threads 1`" in told
    assert "workers is not set" in told
    assert "threads is not set" not in notes("gunicorn -k sync app:app")
    assert "threads is not set" not in notes("gunicorn -k gevent app:app")
    assert "pip install 'pronghorn[gevent]'" in notes("gunicorn -k gunicorn.workers.ggevent.GeventWorker app:app")
    assert "threads is not set, unless shop.py sets it" in notes("gunicorn -c shop.py app:app")
    assert "not set" not in notes("gunicorn -w 1 --threads 1 --keep-alive 2 app:app")


def test_a_command_on_the_command_line(tmp_path):
    result = migrated(tmp_path, "--", "gunicorn", "-w", "4", "--worker-tmp-dir", "/dev/shm", "shop:create('x y')")
    assert result.returncode == 0
    assert result.stdout == """pronghorn -w 4 'shop:create('"'"'x y'"'"')'\n"""
    assert result.stderr.startswith("--worker-tmp-dir: left out: workers show that they live in shared memory")
    assert migrated(tmp_path, "--", "gunicorn --spew app:app").stdout == "pronghorn app:app\n"
    assert migrated(tmp_path, "--", "gunicorn", "--certfile", "x", "app:app").returncode == 1


UNIT = """\
[Unit]
Description=gunicorn daemon
# gunicorn

[Service]
User=www-data
Environment=GUNICORN_CMD_ARGS="--http-protocols=h2"
RuntimeDirectory=gunicorn
ExecStartPre=/bin/mkdir -p /run/x
ExecStart=/srv/venv/bin/gunicorn \\
          --access-logfile - \\
          --worker-tmp-dir /dev/shm \\
          --bind unix:/run/gunicorn.sock \\
          shop.wsgi:application
ExecReload=/bin/kill -s HUP $MAINPID
"""


def test_a_systemd_unit():
    result = migrate("/etc/systemd/system/shop.service", UNIT)
    assert result.text == UNIT.replace("/srv/venv/bin/gunicorn ", "/srv/venv/bin/pronghorn ").replace(
        "          --worker-tmp-dir /dev/shm \\\n", ""
    )
    told = {(remark.line, remark.note.text.partition(":")[0]) for remark in result.remarks}
    assert (10, "--worker-tmp-dir") in told
    assert (7, "GUNICORN_CMD_ARGS is read as before; --http-protocols") in told
    assert (8, "it speaks of Gunicorn too, see whether that must change") in told
    assert not {2, 3} & {line for line, _ in told}


def test_a_procfile():
    result = migrate("Procfile.dev", "release: ./migrate\nweb: gunicorn --spew app:app -b :$PORT\nother: x 'y\n")
    assert result.text == "release: ./migrate\nweb: pronghorn app:app -b :$PORT\nother: x 'y\n"


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ('CMD ["gunicorn", "--bind", "0.0.0.0:80", "app:app"]', 'CMD ["pronghorn", "--bind", "0.0.0.0:80", "app:app"]'),
        ('CMD ["gunicorn", \\\n # why\n "--spew", "app:app"]', 'CMD ["pronghorn", "app:app"]'),
        ("cmd exec gunicorn --spew app:app", "cmd exec pronghorn app:app"),
        ("CMD gunicorn \\\n  # why\n  --spew \\\n  app:app", "CMD pronghorn \\\n  # why\n  app:app"),
        ('CMD ["sh", "-c", "gunicorn -b :$PORT app:app"]', 'CMD ["sh", "-c", "pronghorn -b :$PORT app:app"]'),
        ('ENTRYPOINT ["gunicorn"]\nCMD ["--spew", "app:app"]', 'ENTRYPOINT ["pronghorn"]\nCMD ["app:app"]'),
        ('CMD ["app:app"]\nENTRYPOINT ["gunicorn", "-w", "2"]', 'CMD ["app:app"]\nENTRYPOINT ["pronghorn", "-w", "2"]'),
        ('ENTRYPOINT ["/x.sh"]\nCMD ["gunicorn", "app:app"]', 'ENTRYPOINT ["/x.sh"]\nCMD ["pronghorn", "app:app"]'),
    ],
)  # fmt: skip
def test_a_dockerfile(text, new):
    around = "FROM python\nWORKDIR /app\n{}\nUSER nobody\n"
    assert migrate("Dockerfile", around.format(text)).text == around.format(new)


def test_a_dockerfile_that_installs_gunicorn():
    result = migrate("web.Dockerfile", "RUN pip install flask gunicorn\nCMD gunicorn app:app\n")
    assert any(remark.line == 1 and "pip install flask gunicorn" in remark.note.text for remark in result.remarks)


def test_a_shell_script():
    text = '#!/bin/sh\nset -e\nif [ -n "$X" ]; then\n  echo x > y\nfi\nexec gunicorn --spew app:app # go\n'
    assert migrate("start", text).text == text.replace("gunicorn --spew", "pronghorn")


CONFIGURATION = """\
import multiprocessing
from gunicorn import glogging

bind = "unix:/run/shop.sock"
cores = multiprocessing.cpu_count()
workers = cores * 2 + 1
worker_class = "sync"
worker_tmp_dir = "/dev/shm"
daemon = False
http_protocols = (
    "h2"
)
if cores > 1:
    spew = True
root_path = glogging.PATH
treads = 2


def post_fork(server, worker):
    server.log.info("x")
"""


def test_a_configuration_file_is_read_and_not_run(tmp_path):
    text = CONFIGURATION + "raise SystemExit\n"
    result = migrate("conf/gunicorn.conf.py", text)
    out = [
        'worker_tmp_dir = "/dev/shm"\n',
        'http_protocols = (\n    "h2"\n)\n',
        "root_path = glogging.PATH\n",
    ]
    for statement in out:
        text = text.replace(statement, "")
    assert result.text == text
    told = {(remark.line, remark.note.text.partition(":")[0]) for remark in result.remarks}
    absent = {(8, "worker_tmp_dir"), (10, "http_protocols"), (14, "spew"), (15, "root_path")}
    assert absent | {(0, "keepalive is not set")} <= told
    assert not any(line == 19 for line, _ in told)
    assert (2, "it imports Gunicorn, which must stay installed for it") in told
    assert (16, "treads is not a setting; did you mean threads?") in told
    assert not {(9, "daemon"), (0, "threads is not set")} & told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("certfile = 'x'\n", "certfile: no equivalent"),
        ("import os\ncertfile = os.environ.get('CERT')\n", "certfile: what its value is cannot be told from here"),
        ("workers = 'many'\n", "workers: workers must be a whole number"),
    ],
)
def test_a_configuration_file_without_an_equivalent(tmp_path, text, words):
    (tmp_path / "gunicorn.conf.py").write_text(text)
    result = migrated(tmp_path, "--write", "gunicorn.conf.py")
    assert result.returncode == 1
    assert words in result.stderr.splitlines()[0]
    assert (tmp_path / "gunicorn.conf.py").read_text() == text


def test_nothing_is_written_unless_asked(tmp_path):
    procfile = tmp_path / "Procfile"
    procfile.write_text("web: gunicorn app:app\n")
    procfile.chmod(0o640)
    result = migrated(tmp_path, "Procfile")
    assert result.returncode == 0
    assert "-web: gunicorn app:app\n+web: pronghorn app:app\n" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["Procfile"]
    assert procfile.read_text() == "web: gunicorn app:app\n"

    assert migrated(tmp_path, "--write", "Procfile").returncode == 0
    assert procfile.read_text() == "web: pronghorn app:app\n"
    assert stat.S_IMODE(procfile.stat().st_mode) == 0o640
    assert (tmp_path / "Procfile.before-pronghorn").read_text() == "web: gunicorn app:app\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Procfile", "Procfile.before-pronghorn"]


def test_what_was_before_is_never_lost(tmp_path):
    (tmp_path / "Procfile").write_text("web: gunicorn app:app\n")
    (tmp_path / "Procfile.before-pronghorn").write_text("precious")
    result = migrated(tmp_path, "--write", "Procfile")
    assert result.returncode == 2
    assert "Procfile.before-pronghorn exists" in result.stderr
    assert (tmp_path / "Procfile.before-pronghorn").read_text() == "precious"
    assert (tmp_path / "Procfile").read_text() == "web: gunicorn app:app\n"


def test_a_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "Procfile").write_text("web: gunicorn app:app\n")
    (tmp_path / "Procfile").symlink_to("real/Procfile")
    assert migrated(tmp_path, "--write", "Procfile").returncode == 0
    assert (tmp_path / "Procfile").is_symlink()
    assert (tmp_path / "real" / "Procfile").read_text() == "web: pronghorn app:app\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name files, or write the command behind `--`"),
        (["Procfile", "--", "gunicorn", "app:app"], "name files, or write the command behind `--`"),
        (["none"], "none: No such file or directory"),
        (["."], ".: Is a directory"),
        (["docker-compose.yml"], "docker-compose.yml: it is none of the files that are understood"),
        (["bytes.service"], "bytes.service: 'utf-8' codec can't decode"),
        (["broken.py"], "broken.py: line 1: SyntaxError"),
        (["broken.service"], "broken.service: line 1: no closing '"),
        (["Procfile"], "Procfile: no Gunicorn is started in it"),
        (["gunicorn app:app"], "No such file or directory; a command stands behind `--`"),
        (["--wirte", "Procfile"], "there is no such option"),
        (["--", "uwsgi", "x"], "uwsgi x: it does not start Gunicorn"),
        (["--", "gunicorn 'x"], "gunicorn 'x: no closing '"),
    ],
)
def test_one_clear_line_for_what_cannot_be_read(tmp_path, arguments, words):
    (tmp_path / "docker-compose.yml").write_text("command: gunicorn app:app\n")
    (tmp_path / "bytes.service").write_bytes(b"\xff")
    (tmp_path / "broken.py").write_text("workers = \n")
    (tmp_path / "broken.service").write_text("ExecStart=gunicorn 'x\n")
    (tmp_path / "Procfile").write_text("web: uwsgi\n")
    result = migrated(tmp_path, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("pronghorn: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_application_called_migrate_is_still_served(tmp_path):
    (tmp_path / "migrate.py").write_text(
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'migrated']\n"
    )
    anywhere = {"PRONGHORN_BIND": "127.0.0.1:0"}
    with Server(tmp_path, "migrate:application", "-w", "1", command=SCRIPT, bind=(), **anywhere) as server:
        assert server.get() == (200, "migrated")
    with Server(tmp_path, "-w", "1", "migrate", command=SCRIPT) as server:
        assert server.get() == (200, "migrated")
        assert server.stop() == 0
