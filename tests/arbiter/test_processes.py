"""The real command under signals and accidents."""

import collections
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.support.process import PATIENCE, alive
from tests.support.raw import wait_for

REMEDY = "stop it, or use another --bind"


def serving(start, *arguments, workers=2, **options):
    return start("--workers", str(workers), *arguments, "app:app", **options).ready(workers)


def in_background(command, path):
    """A request that runs while the test goes on; call the result for status and text."""
    result = []

    def ask():
        try:
            result.append(command.get(path))
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=ask)
    thread.start()

    def answer():
        thread.join(PATIENCE)
        return result[0]

    return answer


def in_the_application(command, path, place):
    """As `in_background`, once the application runs it."""
    answer = in_background(command, path)
    wait_for((place / "inside").exists, "the application to be called")
    return answer


def test_start_banner_and_term(start):
    command = serving(start)
    assert command.get()[0] == 200
    for words in ("2 workers . 8 threads", f"arbiter pid {command.pid}", "reload: kill -HUP", "stop: kill"):
        assert command.said(words)
    assert len(command.workers()) == 2
    command.signal(signal.SIGTERM)
    assert command.wait() == 0


def test_term_lets_a_running_request_finish(start, place):
    command = serving(start)
    answer = in_the_application(command, "/sleep/1", place)
    command.signal(signal.SIGTERM)
    assert answer()[0] == 200
    assert command.wait() == 0


def test_term_kills_what_outlives_the_graceful_timeout(start, place):
    command = serving(start, "--graceful-timeout", "1s")
    answer = in_the_application(command, "/sleep/60", place)
    began = time.monotonic()
    command.signal(signal.SIGTERM)
    assert command.wait() == 0
    assert time.monotonic() - began < 8
    assert isinstance(answer(), OSError)
    command.said(rf"Worker \d+ has no more time to drain and cuts off 1: GET /sleep/60, {WHO}\n")


WHO = r"\d\.\d s \(client 127\.0\.0\.1, request \S+, thread pronghorn-\d\)"


def test_a_call_that_a_worker_leaves_behind_is_named(start, place):
    """It was answered 504 long before, so a drain does not wait for it."""
    command = serving(start, "--timeout", "0.1s")
    in_the_application(command, "/sleep/60", place)
    assert command.stop() == 0
    command.said(rf"Worker \d+ leaves behind, inside the application, 1: GET /sleep/60, {WHO}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_quick_stop_does_not_wait_for_requests(start, place, number):
    command = serving(start)
    answer = in_the_application(command, "/sleep/60", place)
    began = time.monotonic()
    command.signal(number)
    assert command.wait() == 0
    assert time.monotonic() - began < 6
    assert isinstance(answer(), OSError)
    command.said(rf"Worker \d+ stops at once and cuts off 1: GET /sleep/60, {WHO}\n")


def test_a_killed_worker_is_replaced(start):
    command = serving(start)
    victim = min(command.workers())
    os.kill(victim, signal.SIGKILL)
    command.said("is ready after", 3)
    assert victim not in command.workers()
    assert len(command.workers()) == 2
    assert len(command.said(rf"pid {victim}\) was killed by SIGKILL \(perhaps out of memory")) == 1
    assert command.get()[0] == 200


def test_a_killed_worker_is_replaced_at_once(start):
    """With `--timeout 0` no time is due in the arbiter (`next_wakeup`): it is the death itself that wakes it."""
    command = serving(start, "--timeout", "0")
    os.kill(min(command.workers()), signal.SIGKILL)
    command.ready(3)
    assert len(command.said("replaced at once")) == 1
    assert "replaced in" not in command.text


def test_all_workers_killed_at_once(start):
    command = serving(start, workers=3)
    for victim in command.workers():
        os.kill(victim, signal.SIGKILL)
    command.said("is ready after", 6)
    assert command.get()[0] == 200
    assert len(command.workers()) == 3


def test_a_crash_by_a_request_is_survived(start):
    command = serving(start)
    in_background(command, "/crash")()
    command.said("was killed by SIGSEGV")
    command.said("is ready after", 3)
    assert command.get()[0] == 200


def test_hup_serves_the_new_code(start, place):
    command = serving(start)
    old = command.workers()
    assert command.get()[1].endswith("one")
    source = (place / "app.py").read_text()
    (place / "app.py").write_text(source.replace('"one"', '"two"'))
    command.signal(signal.SIGHUP)
    wait_for(lambda: not any(alive(pid) for pid in old), "the old workers to leave")
    assert command.get()[1].endswith("two")
    assert len(command.workers()) == 2


def test_hup_with_a_broken_application_changes_nothing(start, place):
    command = serving(start)
    old = command.workers()
    (place / "app.py").write_text("def app(:\n")
    command.signal(signal.SIGHUP)
    command.said(r"reload failed: .*SyntaxError.*generation 1 goes on serving unchanged")
    assert command.said("SyntaxError: ", 2)
    assert command.get()[1].endswith("one")
    assert command.workers() == old


def test_hup_with_broken_settings_changes_nothing(start, place):
    (place / "pronghorn.toml").write_text("workers = 2\n")
    command = start("app:app").ready(2)
    old = command.workers()
    (place / "pronghorn.toml").write_text("worker = 3\n")
    command.signal(signal.SIGHUP)
    command.said(r"reload failed: .*'?worker'?.*goes on serving unchanged")
    assert command.workers() == old
    (place / "pronghorn.toml").write_text("workers = 3\n")
    command.signal(signal.SIGHUP)
    command.said("is ready after", 5)
    wait_for(lambda: len(command.workers()) == 3 and not command.workers() & old, "three new workers")


def test_hup_may_change_the_addresses(start, place):
    (place / "pronghorn.toml").write_text(f'bind = ["unix:{place}/a.sock"]\n')
    command = start("--workers", "1", "app:app", bind=()).ready(1)
    (place / "pronghorn.toml").write_text(f'bind = ["unix:{place}/b.sock"]\n')
    command.signal(signal.SIGHUP)
    command.said("generation 2 serves")
    wait_for(lambda: not (place / "a.sock").exists(), "the old socket's file to go")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(place / "b.sock"))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_an_address_given_up_by_hup_refuses_connections(start, place):
    config = place / "pronghorn.toml"
    config.write_text('bind = ["127.0.0.1:0"]\n')
    command = start("--workers", "1", "app:app", bind=()).ready(1)
    (first,) = command.workers()
    config.write_text(f'bind = ["unix:{place}/b.sock"]\n')
    command.signal(signal.SIGHUP)
    command.said("generation 2 serves")
    wait_for(lambda: not alive(first), "the old worker to leave")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(command.address).close()


def test_ttin_and_ttou(start):
    command = serving(start, workers=1)
    command.signal(signal.SIGTTIN)
    wait_for(lambda: len(command.workers()) == 2, "a second worker")
    command.said("is ready after", 2)
    command.signal(signal.SIGTTOU)
    wait_for(lambda: len(command.workers()) == 1, "one worker again")
    command.signal(signal.SIGTTOU)
    assert command.get()[0] == 200


def test_usr1_reopens_the_logs(start, place):
    log = place / "access.log"
    command = serving(start, "--access-logfile", str(log))
    command.get("/before")
    wait_for(lambda: log.exists() and "/before" in log.read_text(), "the first line")
    log.rename(place / "access.log.1")
    command.signal(signal.SIGUSR1)
    wait_for(log.exists, "a new file")

    def lands_in_the_new_file():
        command.get("/after")
        return "/after" in log.read_text()

    wait_for(lands_in_the_new_file, "a line in the new file")


def test_a_killed_arbiter_takes_its_workers_along(start):
    command = serving(start)
    workers = command.workers()
    began = time.monotonic()
    command.process.kill()
    wait_for(lambda: not any(alive(pid) for pid in workers), "the workers to leave")
    assert time.monotonic() - began < 2
    with socket.create_server(command.address):
        pass


def test_a_killed_arbiter_takes_a_worker_along_that_still_imports(start, place):
    """Nothing in it looks at the pipe yet: the kernel's signal ends it (PR_SET_PDEATHSIG)."""
    source = (place / "app.py").read_text()
    (place / "app.py").write_text(source + '\nopen("inside", "w").close()\ntime.sleep(60)\n')
    command = start("--workers", "1", "app:app")
    wait_for((place / "inside").exists, "the import")
    (worker,) = command.workers()
    command.process.kill()
    wait_for(lambda: not alive(worker), "the worker to leave")


def test_a_killed_arbiter_takes_a_worker_along_that_the_kernel_does_not_tell(start, place):
    """Its main thread cannot look either, while a call has the interpreter lock: the pipe ends it."""
    source = (place / "app.py").read_text()
    (place / "app.py").write_text(source + "\nctypes.CDLL(None).prctl(1, 0)  # PR_SET_PDEATHSIG: no signal\n")
    command = serving(start, workers=1)
    answer = in_the_application(command, "/lock", place)
    (worker,) = command.workers()
    command.process.kill()
    wait_for(lambda: not alive(worker), "the worker to leave")
    assert isinstance(answer(), OSError)


@pytest.mark.parametrize("kind", ["sleep/60", "spin", "lock", "exit"])
def test_a_killed_arbiter_takes_busy_workers_along(start, place, kind):
    command = serving(start, "--threads", "2")
    answers = [in_the_application(command, f"/{kind}", place)]
    if kind == "spin":
        answers += [in_background(command, "/spin") for _ in range(3)]
    workers = command.workers()
    began = time.monotonic()
    command.process.kill()
    wait_for(lambda: not any(alive(pid) for pid in workers), "the workers to leave")
    assert time.monotonic() - began < 2
    assert all(isinstance(answer(), OSError) for answer in answers)
    with socket.create_server(command.address):
        pass


def test_an_application_that_cannot_be_imported(start, place):
    (place / "bad.py").write_text("def configure():\n    return {}['missing']\n\nconfigure()\n")
    command = start("--workers", "2", "bad:app")
    assert command.wait() == 3
    assert "in configure" in command.text
    assert command.text.count("Traceback (most recent call last)") == 1
    assert command.text.count("cannot start: application 'bad:app': importing 'bad' raised KeyError: 'missing'") == 1


@pytest.mark.parametrize("preload", [[], ["--preload"]])
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("apq:app", "there is no module 'apq'"),
        ("app:ap", "no attribute 'ap'; did you mean 'app'"),
        ("app:VERSION", "not callable"),
    ],
)
def test_a_wrong_name_is_one_clear_line(start, preload, spec, words):
    command = start(*preload, spec)
    assert command.wait() == 3
    assert len([line for line in command.lines if words in line]) == 1
    assert "Traceback" not in command.text


def test_workers_that_die_at_import_end_the_first_start(start, place):
    (place / "bad.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    command = start("--workers", "2", "bad:app")
    assert command.process.wait(30) == 4
    assert command.said("no worker was ever ready, 4 attempts")


def test_a_port_in_use(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = start("app:app", bind=(address,))
        assert command.wait() == 1
        assert command.lines == [
            f"pronghorn: cannot listen on {address}: the address is in use by another process; {REMEDY}"
        ]


def test_a_unix_socket_and_the_pidfile_are_gone_afterwards(start, place):
    command = serving(start, "--pid", "run.pid", bind=(f"unix:{place}/a.sock",))
    assert (place / "run.pid").read_text() == f"{command.pid}\n"
    assert (place / "a.sock").is_socket()
    command.signal(signal.SIGTERM)
    assert command.wait() == 0
    assert not (place / "run.pid").exists()
    assert not (place / "a.sock").exists()


def test_a_second_server_with_the_same_pidfile(start):
    first = serving(start, "--pid", "run.pid")
    second = start("--pid", "run.pid", "app:app")
    assert second.wait() == 1
    assert len(second.lines) == 1
    assert f"names process {first.pid}, which is running" in second.lines[0]


def test_preload_imports_once(start, place):
    source = (place / "app.py").read_text()
    (place / "app.py").write_text(source + '\nopen("imports", "a").write("x")\n')
    command = serving(start, "--preload", workers=3)
    assert (place / "imports").read_text() == "x"
    assert command.get()[0] == 200


def test_what_few_servers_need_is_in_the_memory_of_no_other():
    """Each of these is half a mebibyte in every process, or brings that along."""
    rare = "{'logging.config', 'difflib', 'pickle', 'socketserver', 'asyncio', 'ssl', 'gevent'}"
    modules = "pronghorn.cli.command, pronghorn.arbiter.loop, pronghorn.worker.serve"
    run = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print(sorted({rare} & sys.modules.keys()))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout == "[]\n"


def test_what_is_printed_before_the_workers_are_forked_is_printed_once(start, place):
    (place / "gunicorn.conf.py").write_text("print('settings')\n")
    app = place / "app.py"
    app.write_text("print('application')\n" + app.read_text())
    command = serving(start, "--preload")
    command.signal(signal.SIGHUP)
    command.said("generation 2 serves")
    command.signal(signal.SIGTERM)
    assert command.wait() == 0
    assert sorted(command.output.read_text().split()) == ["application", "settings", "settings"]


@pytest.mark.parametrize("options", [["--preload"], []], ids=["preload", "no preload"])
def test_what_is_preloaded_is_frozen_by_the_collector(start, options):
    """So that no collection in a worker writes to the pages that it shares with the arbiter."""
    command = serving(start, *options, workers=1)
    assert command.get("/frozen")[1] == ("yes" if options else "no")


def test_max_requests_replaces_a_worker_without_losing_a_request(start):
    command = serving(start, "--max-requests", "5", workers=1)
    (first,) = command.workers()

    def answered_by_another():
        status, text = command.get()
        assert status == 200
        return text.split()[0] != str(first)

    wait_for(answered_by_another, "an answer of the replacement")
    command.said(r"asks to be replaced: it has answered 5 requests \(setting `max_requests`\)")
    wait_for(lambda: not alive(first), "the old worker to leave")


def test_a_stopped_worker_is_replaced(start):
    command = serving(start, "--timeout", "2s", "--graceful-timeout", "2s")
    victim = min(command.workers())
    os.kill(victim, signal.SIGSTOP)
    command.said(rf"pid {victim}\) shows no life")
    wait_for(lambda: not alive(victim), "its end")
    command.said("is ready after", 3)
    assert command.get()[0] == 200


def test_an_exit_function_of_the_application_runs(start, place):
    source = (place / "app.py").read_text()
    (place / "app.py").write_text(source + '\nimport atexit\natexit.register(lambda: open("left", "a").write("x"))\n')
    command = serving(start)
    command.signal(signal.SIGTERM)
    assert command.wait() == 0
    assert (place / "left").read_text() == "xx"


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_replacing_workers_leaks_no_descriptors(start):
    command = serving(start)
    before = descriptors(command.pid)
    for round_ in range(5):
        os.kill(min(command.workers()), signal.SIGKILL)
        command.said("is ready after", 3 + round_)
    assert len(command.workers()) == 2
    assert descriptors(command.pid) == before


def test_exit_functions_run_even_if_a_request_had_to_be_cut_off(start, place):
    source = (place / "app.py").read_text()
    (place / "app.py").write_text(source + '\nimport atexit\natexit.register(lambda: open("left", "a").write("x"))\n')
    command = serving(start, "--graceful-timeout", "0.2s", workers=1)
    in_the_application(command, "/sleep/60", place)
    command.signal(signal.SIGTERM)
    assert command.wait() == 0
    assert (place / "left").read_text() == "x"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_replaces_nobody(start, number):
    command = serving(start, workers=4)
    command.workers()
    os.killpg(command.pid, number)
    assert command.wait() == 0
    assert "replaced" not in command.text
    assert command.text.count("is ready after") == 4


def test_a_storm_of_signals(start):
    command = serving(start)
    for _ in range(200):
        for number in (signal.SIGUSR1, signal.SIGTTIN, signal.SIGHUP, signal.SIGTTOU, signal.SIGWINCH):
            command.process.send_signal(number)
    # The last of them may have been WINCH.
    command.signal(signal.SIGHUP)
    assert command.get()[0] == 200
    command.signal(signal.SIGTERM)
    assert command.wait() == 0


def test_an_idle_arbiter_sleeps(start):
    command = serving(start, "--timeout", "0")

    def switches():
        lines = Path(f"/proc/{command.pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)

    before = switches()
    time.sleep(1)  # The absence of work can only be watched for a time.
    assert switches() - before <= 3


STALL = 0.06
"""Seconds for which workers get no processor."""
WAITED_FOR = 0.25
"""And for which a worker that sleeps is waited for at most."""


def states_of(pids):
    """Of all threads of these processes: S sleeping, T stopped."""
    tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/stat")]
    return {task.read_text().rpartition(")")[2].split()[0] for task in tasks}


@contextlib.contextmanager
def stopped(pids):
    """Does not let these processes run, which have nothing to do."""
    wait_for(lambda: states_of(pids) == {"S"}, "the processes to have nothing to do")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: states_of(pids) == {"T"}, "the processes to stop")
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def beside_stalled(pids, do):
    """What `do` gives while these processes are not run for a while, as on a machine with more to do than processors.

    Once more where that lasted longer than anybody waits: this machine is itself too busy.
    """
    while True:
        with stopped(pids):
            begun = time.monotonic()
            found = do()
            time.sleep(STALL)
        if time.monotonic() - begun < 0.8 * WAITED_FOR:
            return found


def asking(address, stack):
    """A client that has asked, and keeps its connection."""
    client = stack.enter_context(socket.create_connection(address, PATIENCE))
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return client


def who_answers(client):
    data = b""
    while not data.endswith(b"one"):
        data += client.recv(4096)
    return int(data.split(b"\r\n\r\n")[1].split()[0])


def shares(clients):
    """How many of them each worker has."""
    return list(collections.Counter(map(who_answers, clients)).values())


def test_connections_spread_evenly(start):
    command = serving(start, workers=4)
    with contextlib.ExitStack() as stack:
        counts = shares([asking(command.address, stack) for _ in range(64)])
    assert len(counts) == 4
    assert max(counts) <= 1.25 * 16


def test_connections_spread_evenly_while_workers_wait_for_a_processor(start):
    command = serving(start, workers=4)
    stalled = sorted(command.workers())[1:]
    with contextlib.ExitStack() as stack:
        counts = shares(beside_stalled(stalled, lambda: [asking(command.address, stack) for _ in range(64)]))
    assert len(counts) == 4
    assert max(counts) <= 1.25 * 16


def test_a_worker_is_waited_for_however_long_ago_it_was_last(start):
    command = serving(start, workers=2)
    with contextlib.ExitStack() as stack:
        clients = [asking(command.address, stack) for _ in range(16)]
        owners = [who_answers(client) for client in clients]
        poorer = owners[0]
        left = descriptors(poorer) - owners.count(poorer)
        for client, owner in zip(clients, owners, strict=True):
            if owner == poorer:
                client.close()
        wait_for(lambda: descriptors(poorer) == left, "its connections to be gone")
        assert who_answers(beside_stalled([poorer], lambda: asking(command.address, stack))) == poorer
        time.sleep(1.1 * WAITED_FOR)
        assert who_answers(beside_stalled([poorer], lambda: asking(command.address, stack))) == poorer


def test_workers_that_are_stopped_for_long_hold_nobody_up(start):
    command = serving(start, workers=4)
    with contextlib.ExitStack() as stack, stopped(sorted(command.workers())[1:]):
        begun = time.monotonic()
        counts = shares([asking(command.address, stack) for _ in range(64)])
        took = time.monotonic() - begun
    assert counts == [64]
    assert took < 4  # 64 times a quarter of a second would be 16 s


SUDDEN = """
import os, pathlib, signal, time

while not pathlib.Path("go").exists():
    time.sleep(0.01)

def app(environ, start_response):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.3)  # the signal has time to do harm
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"answered"]
"""


def test_a_worker_that_is_told_to_leave_as_it_begins_to_accept_answers_first(start, place):
    (place / "sudden.py").write_text(SUDDEN)
    command = start("--workers", "1", "sudden:app")
    with socket.create_connection(command.address, PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        (place / "go").touch()
        answer = client.recv(1000)
    assert answer.startswith(b"HTTP/1.1 200 ")
