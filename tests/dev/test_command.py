"""`pronghorn dev` as a developer uses it."""

import contextlib
import os
import pty
import re
import signal
import sys
import urllib.parse

import pytest
from tests.support.process import MODULE, Server, environment, run
from tests.support.raw import Client, wait_for

FLASK = """\
import os
from flask import Flask

shop = Flask(__name__)

@shop.get("/")
def index():
    return os.environ.get("COLOUR", "none")

@shop.get("/boom")
def boom():
    secret = 7 * 6
    raise RuntimeError("no")

shop.run()
"""

DEV = (*MODULE, "dev")


def ask(server, target="/", *headers, host="localhost"):
    with Client(server.url) as client:
        client.send("\r\n".join([f"GET {target} HTTP/1.1", f"Host: {host}", *headers, "\r\n"]).encode())
        return client.read_response()


@pytest.fixture
def flask(tmp_path):
    (tmp_path / "app.py").write_text(FLASK)
    return tmp_path


def test_the_debugger_asks_for_its_pin_and_runs_what_it_is_told(flask, dev):
    server = dev()
    (pin,) = server.said(r"its PIN is ([\d-]+)")
    page = ask(server, "/boom").body.decode()
    secret = re.search(r'SECRET = "(\w+)"', page)[1]
    frame = re.findall(r'id="frame-(\d+)"', page)[-1]

    def tell(host="localhost", cookie="", **words):
        query = urllib.parse.urlencode({"__debugger__": "yes", "s": secret} | words)
        return ask(server, f"/boom?{query}", *([f"Cookie: {cookie}"] if cookie else []), host=host)

    assert tell(cmd="secret", frm=frame).status == 500  # Not without the PIN: it is the application's own error again.
    assert b'"auth": false' in tell(cmd="pinauth", pin="000-000-000").body
    allowed = tell(cmd="pinauth", pin=pin)
    assert b'"auth": true' in allowed.body
    cookie = allowed.headers["set-cookie"].partition(";")[0]
    assert b"42" in tell(cmd="secret", frm=frame, cookie=cookie).body
    # Under another name, or for somebody behind a proxy, there is no debugger at all.
    for host, header in (("attacker.example", "A: b"), ("localhost", "X-Forwarded-For: 203.0.113.1")):
        answer = ask(server, "/boom", header, host=host)
        assert answer.status == 500
        assert b"__debugger__" not in answer.body
        assert b"RuntimeError" not in answer.body
    assert b"42" not in tell(cmd="secret", frm=frame, cookie=cookie, host="attacker.example").body


def test_request_lines_are_readable(flask, dev):
    server = dev()

    def line(number: int) -> str:
        """A line is written when its response has been sent: two threads may write theirs in either order."""
        lines = wait_for(
            lambda: (found := re.findall(r"^(\d\d:.*)\n", server.output.read_text(), re.MULTILINE))[number:] and found,
            f"{number + 1} lines",
        )
        return lines[number]

    ask(server, "/a%20b?x=1")
    assert re.fullmatch(r"\d\d:\d\d:\d\d GET /a%20b\?x=1 404 \d+\.\d ms 207 B", line(0))
    ask(server)
    assert re.fullmatch(r"\d\d:\d\d:\d\d GET / 200 \d+\.\d ms 4 B", line(1))
    with Client(server.url) as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.read_response().status == 400
    assert re.fullmatch(r"\d\d:\d\d:\d\d refused before it was understood 400 .*", line(2))


@pytest.mark.parametrize("extra", [{}, {"NO_COLOR": "1"}])
def test_they_are_coloured_on_a_terminal(flask, extra):
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(flask)
        variables = environment(PRONGHORN_BIND="127.0.0.1:0", TERM="xterm", **extra)
        os.execve(sys.executable, [*DEV], variables)  # noqa: S606
    text = b""

    def said(pattern: bytes) -> bytes:
        nonlocal text
        while not (found := re.search(pattern, text)):
            text += os.read(terminal, 4096)
        return found[1]

    try:
        url = said(rb"listening on (http://[\d.:]+)").decode()
        said(rb"(is ready)")
        with Client(url) as client:
            assert client.get("/missing", "Connection: close").status == 404
        said(rb"/missing ([^\n]+)\n")
        assert (b"\x1b[33m404\x1b[m" in text) is not extra.get("NO_COLOR", False)
        # Ctrl-C, as a terminal sends it: to all of them.
        os.write(terminal, b"\x03")
    finally:
        with contextlib.suppress(OSError):
            while chunk := os.read(terminal, 4096):
                text += chunk
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        os.close(terminal)
    assert b"Traceback" not in text


@pytest.mark.parametrize(
    "address", ["0.0.0.0:8000", ":8000", "[::]:8000", "192.0.2.7:8000", "shop.example:8000", "unix:shop.sock"]
)
def test_it_listens_for_this_machine_only(flask, address):
    result = run(flask, "--bind", address, command=DEV)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"pronghorn: --bind: debug does not listen on {address}, which other machines may")
    assert "--unsafe" in line


def test_unless_it_is_told_to(flask):
    for address in ("0.0.0.0:8000", "localhost:8000", "[::1]:8000", "127.9.9.9:80"):
        unsafe = ["--unsafe"] if address.startswith("0") else []
        assert run(flask, "--check-config", *unsafe, "--bind", address, command=DEV).returncode == 0


def test_files_for_production_do_not_count(flask, dev):
    (flask / "gunicorn.conf.py").write_text("workers = 4\npreload_app = True\nloglevel = 'error'\n")
    server = dev().ready(1)
    assert len(server.workers()) == 1
    server.said("1 worker ")


def test_variables_from_files(flask, dev):
    (flask / "app.py").rename(flask / "store.py")
    (flask / ".flaskenv").write_text("FLASK_APP=store\nCOLOUR=red\nFLASK_DEBUG=0\n")
    (flask / ".env").write_text('COLOUR="blue"\n')
    server = dev()
    assert ask(server).body == b"blue"
    assert "PIN" not in server.text
    (flask / ".env").write_text("COLOUR=green\n")
    wait_for(lambda: ask(server).body == b"green", "the new value")


def test_the_environment_wins_over_them(flask):
    (flask / ".env").write_text("FLASK_RUN_PORT=4000\nPRONGHORN_THREADS=3\nCOLOUR=red\n")
    shown = run(flask, "--print-config", command=DEV, FLASK_RUN_PORT="5000", COLOUR="blue").stdout
    assert re.search(r'bind = \["127.0.0.1:5000"\] +# environment FLASK_RUN_PORT', shown)
    assert re.search(r"threads = 3 +# environment PRONGHORN_THREADS", shown)
    assert "COLOUR" not in shown
    shown = run(flask, "--print-config", command=DEV, FLASK_SKIP_DOTENV="1", PORT="6000").stdout
    assert re.search(r'bind = \["127.0.0.1:6000"\] +# environment PORT', shown)


def test_without_python_dotenv_it_says_so(flask):
    (flask / ".env").write_text("COLOUR=red\n")
    program = "import sys; sys.modules['dotenv'] = None; from pronghorn.cli.main import main; sys.exit(main())"
    result = run(flask, "--check-config", command=[sys.executable, "-c", program, "dev"])
    assert result.returncode == 0
    assert ".env: not read; pip install python-dotenv" in result.stderr


def test_no_application(tmp_path):
    result = run(tmp_path, command=DEV)
    assert result.returncode == 2
    assert result.stderr.startswith("pronghorn: no application: name it as in `pronghorn dev module:attribute`")


def test_a_module_called_dev(tmp_path):
    (tmp_path / "dev.py").write_text(
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'dev']\n"
    )
    with Server(tmp_path, "dev:application") as server:
        assert server.get() == (200, "dev")


def test_a_port_in_use(flask, dev):
    server = dev()
    result = run(flask, "--bind", server.url.removeprefix("http://"), command=DEV)
    assert result.returncode == 1
    assert "is in use by another process; stop it, or use another --bind" in result.stderr.splitlines()[-1]


def test_it_stops_at_once_with_a_request_inside(flask, dev):
    (flask / "app.py").write_text(
        FLASK.replace('raise RuntimeError("no")', "import time; print('inside', flush=True); time.sleep(600)")
    )
    server = dev()
    with Client(server.url) as client:
        client.request("/boom")
        wait_for(lambda: "inside" in server.output.read_text(), "the request to be inside")
        server.signal(signal.SIGINT)
        assert server.wait() == 0
    assert "Traceback" not in server.text


def test_help():
    result = run(os.path.curdir, "--help", command=DEV)
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: pronghorn dev [OPTIONS] [APP]")
