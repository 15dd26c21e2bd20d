"""Reloads of the real command: what may go wrong in one, and that nothing of it is felt."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from tests.support.process import PATIENCE, alive
from tests.support.raw import wait_for

CONFIG = "gunicorn.conf.py"
GOOD = 'wsgi_app = "app:app"\nbind = "127.0.0.1:0"\nworkers = 2\nboot_timeout = 2\n'


@pytest.fixture
def serving(start, place):
    """A server with two workers whose settings stand in a Python file."""
    (place / CONFIG).write_text(GOOD)
    return start(bind=()).ready(2)


def reload_with(server, place, config):
    (place / CONFIG).write_text(config)
    server.signal(signal.SIGHUP)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("workers = (\n", r"gunicorn\.conf\.py:1: SyntaxError"),
        ("import nosuchmodule\n", r"gunicorn\.conf\.py:1: ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("import sys\n\nsys.exit(7)\n", r"gunicorn\.conf\.py:3: SystemExit: 7"),
        ("import os\nos.kill(os.getpid(), 11)\n", r"the process that reads the settings was killed by SIGSEGV"),
        ("import os\nos._exit(7)\n", r"the process that reads the settings ended with exit status 7"),
        ("import time\ntime.sleep(600)\n", r"the settings could not be read within 2 s \(boot_timeout\)"),
        ("while True: pass\n", r"the settings could not be read within 2 s \(boot_timeout\)"),
        ("workers = 'many'\n", r"gunicorn\.conf\.py:1: workers must be a whole number, not 'many'"),
        ("strip_header_spaces = True\n", r"gunicorn\.conf\.py:1: strip_header_spaces is not supported: "),
        (
            'wsgi_app = "app:app"\nbind = "unix:/nowhere/at/all.sock"\n',
            r"cannot listen on unix:/nowhere/at/all\.sock: its folder does not",
        ),
        ('wsgi_app = "app:app"\naccesslog = "/nowhere/access.log"\n', r"/nowhere/access\.log"),
        ('wsgi_app = "app:app"\nerrorlog = "/nowhere/error.log"\n', r"/nowhere/error\.log"),
        (GOOD.replace("app:app", "apq:app"), r"there is no module 'apq'"),
    ],
)
def test_a_bad_configuration_changes_nothing(serving, place, config, why):
    before = serving.workers()
    reload_with(serving, place, config)
    serving.said(rf"\[ERROR\] reload failed: .*{why}.*; generation 1 goes on serving unchanged")
    assert serving.get()[1].endswith("one")
    wait_for(lambda: serving.workers() == before, "the process that read the settings to be gone")
    assert serving.text.count("reload failed") == 1
    reload_with(serving, place, GOOD)
    serving.said("generation 3 serves")
    wait_for(lambda: not serving.workers() & before and len(serving.workers()) == 2, "two new workers")


def test_an_address_in_use_changes_nothing(serving, place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        reload_with(serving, place, GOOD.replace(":0", f":{taken.getsockname()[1]}"))
        serving.said(r"reload failed: .*cannot listen on .* the address is in use.*goes on serving")
    assert serving.get()[0] == 200


def test_a_configuration_that_is_gone_or_is_no_file(start, place):
    (place / "named.py").write_text(GOOD)
    server = start("--config", "named.py", "app:app").ready(2)
    (place / "named.py").unlink()
    server.signal(signal.SIGHUP)
    server.said(r"reload failed: --config: named\.py: No such file or directory;")
    (place / "named.py").mkdir()
    server.signal(signal.SIGHUP)
    server.said(r"reload failed: named\.py: Is a directory;")
    assert server.get()[0] == 200


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def app(:\n", "SyntaxError"),
        ("raise KeyError('missing')\n", "KeyError: 'missing'"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("import time\ntime.sleep(600)\n", r"not ready after 2 s \(boot_timeout\)"),
        ("import os\nos.kill(os.getpid(), 11)\n", r"its first worker was killed by SIGSEGV"),
    ],
)
def test_bad_code_changes_nothing(serving, place, code, why):
    before, good = serving.workers(), (place / "app.py").read_text()
    (place / "app.py").write_text(code)
    serving.signal(signal.SIGHUP)
    serving.said(rf"\[ERROR\] reload failed: .*{why}.*; generation 1 goes on serving unchanged")
    assert serving.get()[1].endswith("one")
    wait_for(lambda: serving.workers() == before, "the worker that failed to be gone")
    (place / "app.py").write_text(good.replace('"one"', '"two"'))
    serving.signal(signal.SIGHUP)
    wait_for(lambda: not serving.workers() & before, "the old workers to leave")
    assert serving.get()[1].endswith("two")


HANGS = "import pathlib, time\npathlib.Path('reading').touch()\ntime.sleep(600)\n"


def hanging(server, place):
    reload_with(server, place, HANGS)
    wait_for((place / "reading").exists, "the settings to be read")


def test_while_settings_hang_dead_workers_are_replaced(start, place):
    server = start("--workers", "2", "app:app").ready(2)
    victim = min(server.workers())
    hanging(server, place)
    os.kill(victim, signal.SIGKILL)
    server.said("is ready after", 3)
    assert server.get()[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_settings_hang_a_stop_is_obeyed(start, place, number):
    server = start("--workers", "2", "app:app").ready(2)
    hanging(server, place)
    began = time.monotonic()
    server.signal(number)
    assert server.wait() == 0
    assert time.monotonic() - began < 5
    wait_for(lambda: not server.processes(), "the process that read the settings to be gone")


def test_the_stack_of_settings_that_hang_is_shown(serving, place):
    reload_with(
        serving, place, "import time\n\n\ndef wait_for_a_server():\n    time.sleep(600)\n\n\nwait_for_a_server()\n"
    )
    serving.said(r'gunicorn\.conf\.py", line 5 in wait_for_a_server')


def test_the_arbiter_that_dies_takes_hanging_settings_along(start, place):
    server = start("--workers", "1", "app:app").ready(1)
    hanging(server, place)
    server.process.kill()
    wait_for(lambda: not server.processes(), "every process to be gone")


def test_a_hangup_while_settings_hang_starts_anew(start, place):
    server = start("--workers", "2", "app:app").ready(2)
    before = server.workers()
    hanging(server, place)
    reload_with(server, place, "threads = 4\n")
    server.said("generation 3 serves")
    wait_for(lambda: not server.workers() & before and len(server.workers()) == 2, "two new workers")


def test_many_hangups_end_with_the_newest_and_few_processes(start, place):
    server = start("--workers", "2", "app:app").ready(2)
    code, most = (place / "app.py").read_text(), 0
    for number in range(30):
        (place / "app.py").write_text(code.replace('"one"', f'"{number}"'))
        server.signal(signal.SIGHUP)
        most = max(most, len(server.workers()))
        assert server.get()[0] == 200
    wait_for(lambda: server.get()[1].endswith("29") and len(server.workers()) == 2, "the newest code everywhere")
    # Two, their replacements, a candidate, one that reads the settings and one that was told to stop it.
    assert most <= 8


def test_a_relative_socket_is_found_where_the_command_was_started(start, place):
    (place / "elsewhere").mkdir()
    (place / "app.py").write_text((place / "app.py").read_text() + '\nos.chdir("elsewhere")\n')
    (place / CONFIG).write_text('bind = ["unix:a.sock"]\nworkers = 1\n')
    server = start("--preload", "app:app", bind=()).ready(1)
    assert (place / "a.sock").is_socket()
    reload_with(server, place, 'bind = ["unix:b.sock", "unix:a.sock"]\nworkers = 1\n')
    server.said("generation 2 serves")
    assert {path.name for path in place.glob("**/*.sock")} == {"a.sock", "b.sock"}
    assert (place / "b.sock").is_socket()
    for name in ("a.sock", "b.sock"):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(os.path.relpath(place / name))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert server.stop() == 0
    assert not list(place.glob("**/*.sock"))


def test_a_reload_that_fails_leaves_no_socket_file(serving, place):
    for number, wrong in enumerate(("errorlog", "accesslog"), 1):
        bad = f'bind = ["127.0.0.1:0", "unix:new.sock"]\n{wrong} = "/nowhere/a.log"\n'
        reload_with(serving, place, GOOD + bad)
        serving.said(r"reload failed: .*/nowhere/a\.log", number)
    assert not (place / "new.sock").exists()


def test_a_program_that_goes_on_has_no_child_left(start, place):
    (place / "program.py").write_text(
        'import os, pronghorn\npronghorn.run("app:app", workers=1, bind="127.0.0.1:0")\nprint(os.waitpid(-1, 0))\n'
    )
    server = start(command=(sys.executable, "program.py"), bind=()).ready(1)
    hanging(server, place)
    server.signal(signal.SIGINT)
    assert server.wait() == 1
    assert "ChildProcessError" in server.text


def test_an_address_in_other_words_stays_open(start, place):
    (place / CONFIG).write_text('workers = 1\nbind = "127.0.0.1:0"\n')
    server = start("app:app", bind=()).ready(1)
    port = server.address[1]
    for number, host in enumerate(("127.0.0.1", "127.1", "127.0.1", "127.0.0.1"), 2):
        reload_with(server, place, f'workers = 1\nbind = "{host}:{port}"\n')
        server.said(rf"generation {number} serves")
        assert server.get()[0] == 200
    wait_for(lambda: len(server.workers()) == 1, "the worker before to be gone")
    before = server.workers()
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: server.workers() - before, "the replacement")
    assert server.get()[0] == 200


def test_a_reload_under_preload_says_that_the_code_stays(start, place):
    server = start("--workers", "1", "--preload", "app:app").ready(1)
    (place / "app.py").write_text("def app(:\n")
    server.signal(signal.SIGHUP)
    server.said(r"reloading as generation 2; the application's code stays as imported at the start \(preload_app\)")
    server.said("generation 2 serves")
    assert server.get()[1].endswith("one")


def test_reloads_leak_no_descriptors_and_no_files(start, place):
    (place / CONFIG).write_text('workers = 1\nbind = ["127.0.0.1:0", "unix:0.sock"]\n')
    server = start("app:app", bind=()).ready(1)

    def descriptors():
        return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))

    before = descriptors()
    for number in range(1, 6):
        old = server.workers()
        reload_with(server, place, f'workers = 1\nbind = ["127.0.0.1:0", "unix:{number}.sock"]\n')
        server.said(f"generation {2 * number} serves")
        wait_for(lambda old=old: not any(alive(pid) for pid in old), "the old worker to leave")
        reload_with(server, place, f'bind = "unix:{number}.sock"\nworkers = 0\n')
        server.said("reload failed", number)
        server.said("is ready after", number + 1)
    wait_for(lambda: descriptors() == before, "all descriptors to be given back")
