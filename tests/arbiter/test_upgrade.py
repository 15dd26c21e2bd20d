"""USR2: a new arbiter takes the listeners over, under load; the old one leaves, or goes on as if nothing had been."""

import contextlib
import os
import random
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from tests.support.load import Load
from tests.support.process import PATIENCE, alive
from tests.support.raw import Client, wait_for

PATIENT = ("--graceful-timeout", "10s")


def serving(start, *arguments, workers=2, **options):
    return start("--workers", str(workers), *PATIENT, *arguments, "app:app", **options).ready(workers)


def newest(command):
    """The arbiter that was started last."""
    return int(re.findall(r"arbiter pid (\d+)", command.text)[-1])


def upgraded(command, times=1):
    """Waits until so many upgrades are over; the arbiter that is left."""
    command.said(r"the old arbiter \(pid \d+\) has left", times)
    pid = newest(command)
    wait_for(lambda: command.arbiters() == {pid}, "one arbiter", PATIENCE)
    return pid


def change(place, old, new):
    source = (place / "app.py").read_text()
    assert old in source
    (place / "app.py").write_text(source.replace(old, new))


def version(command):
    status, text = command.get()
    assert status == 200
    return text.split()[1]


def another_python(place):
    """An interpreter of another path with the same packages."""
    home = place / "venv"
    (home / "bin").mkdir(parents=True)
    for name in ("lib", "pyvenv.cfg"):
        (home / name).symlink_to(Path(sys.prefix) / name)
    python = home / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())
    return python


def no_failures(load):
    assert load.failures == []
    assert load.answered > 0


def test_several_upgrades_under_load(start, place):
    command = serving(start)
    with Load(command.url) as load:
        current, answered = command.pid, 0
        for number in range(1, 4):
            change(place, 'VERSION = "', 'VERSION = "x')
            wait_for(lambda answered=answered: load.answered > answered + 100, "requests before the upgrade")
            os.kill(current, signal.SIGUSR2)
            following = upgraded(command, number)
            assert following != current
            wait_for(lambda current=current: not alive(current), "the old arbiter to be gone")
            current, answered = following, load.answered
        wait_for(lambda: load.bodies["xxxone"] > 100, "answers of the last version")
    no_failures(load)
    assert command.process.poll() == 0
    assert len(command.workers()) == 2
    assert set(load.bodies) == {"one", "xone", "xxone", "xxxone"}


def test_a_unix_socket_survives_and_the_last_one_removes_it(start, place):
    path = place / "a.sock"
    command = serving(start, bind=(f"unix:{path}",))
    with Load(f"unix:{path}") as load:
        inode = path.stat().st_ino
        for number in (1, 2):
            os.kill(newest(command), signal.SIGUSR2)
            upgraded(command, number)
            assert path.stat().st_ino == inode
        wait_for(lambda: load.answered > 200, "requests")
    no_failures(load)
    last = newest(command)
    os.kill(last, signal.SIGTERM)
    wait_for(lambda: not command.processes(), "everything to be gone")
    assert not path.exists()


def test_the_pidfile_goes_from_one_to_the_other(start, place):
    slow = "import time\ntime.sleep(0.5)\n"
    command = serving(start, "--pid", "run.pid")
    assert (place / "run.pid").read_text() == f"{command.pid}\n"
    (place / "app.py").write_text(slow + (place / "app.py").read_text())
    command.signal(signal.SIGUSR2)
    wait_for((place / "run.pid.2").exists, "the second pidfile")
    second = int((place / "run.pid.2").read_text())
    assert (place / "run.pid").read_text() == f"{command.pid}\n"
    assert upgraded(command) == second
    assert (place / "run.pid").read_text() == f"{second}\n"
    assert not (place / "run.pid.2").exists()
    os.kill(second, signal.SIGTERM)
    wait_for(lambda: not command.processes(), "everything to be gone")
    assert not (place / "run.pid").exists()


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("def app(:\n", r"SyntaxError"),
        ("import os\nos._exit(9)\n", r"exit status 9"),
        ("import os\nos.kill(os.getppid(), 9)\n", r"was killed by SIGKILL"),
        ("import nothing_of_this_name\n", r"nothing_of_this_name"),
    ],
)
def test_a_broken_application_leaves_the_old_one_alone(start, place, broken, words):
    command = serving(start)
    good = (place / "app.py").read_text()
    workers = command.workers()
    with Load(command.url) as load:
        (place / "app.py").write_text(broken)
        command.signal(signal.SIGUSR2)
        (line,) = command.said(r"upgrade failed: .*")
        assert re.search(words, line)
        assert line.endswith("this arbiter goes on serving unchanged")
        wait_for(lambda: command.processes() == workers | {command.pid}, "the new arbiter to be gone")
        (place / "app.py").write_text(good.replace('"one"', '"two"'))
        command.signal(signal.SIGUSR2)
        upgraded(command)
        wait_for(lambda: load.bodies["two"] > 0, "an answer of the new version")
    no_failures(load)


def test_broken_settings_leave_the_old_one_alone(start, place):
    (place / "pronghorn.toml").write_text("workers = 2\n")
    command = start("app:app").ready(2)
    (place / "pronghorn.toml").write_text("wrokers = 2\n")
    command.signal(signal.SIGUSR2)
    (line,) = command.said(r"upgrade failed: .*")
    assert "pronghorn.toml:1" in line
    assert "wrokers" in line
    assert command.arbiters() == {command.pid}
    assert command.get()[0] == 200


def test_an_interpreter_that_is_gone(start, place):
    python = another_python(place)
    command = serving(start, command=(str(python), "-m", "pronghorn"))
    python.unlink()
    command.signal(signal.SIGUSR2)
    (line,) = command.said(r"upgrade failed: .*")
    assert f"{python} cannot be run: No such file or directory" in line
    assert command.get()[0] == 200


def test_an_application_that_never_gets_ready(start, place):
    command = serving(start, "--boot-timeout", "1s")
    (place / "app.py").write_text("import time\ntime.sleep(60)\n")
    command.signal(signal.SIGUSR2)
    assert command.said(r"upgrade failed: .* was not ready after 1 s \(boot_timeout\)")
    wait_for(lambda: command.arbiters() == {command.pid}, "the new arbiter to be gone")
    wait_for(lambda: len(command.workers()) == 2, "its workers to be gone")
    assert version(command) == "one"


def test_a_second_usr2_is_ignored(start, place):
    command = serving(start)
    (place / "app.py").write_text("import time\ntime.sleep(1)\n" + (place / "app.py").read_text())
    command.signal(signal.SIGUSR2)
    command.said("upgrading: the new arbiter")
    command.signal(signal.SIGUSR2)
    command.said(r"USR2 is ignored: an upgrade is under way, the new arbiter \(pid \d+\) starts")
    second = upgraded(command)
    assert len(command.workers()) == 2
    assert command.arbiters() == {second}


def test_the_new_one_ignores_usr2_while_the_old_one_lives(start):
    command = serving(start)
    command.signal(signal.SIGUSR2)
    command.signal(signal.SIGWINCH)
    command.said("upgraded: ")
    os.kill(newest(command), signal.SIGUSR2)
    command.said(rf"USR2 is ignored: the old arbiter \(pid {command.pid}\) of the last upgrade has not left yet")


def test_gunicorns_procedure(start, place):
    command = serving(start, "--pid", "run.pid")
    with Load(command.url) as load:
        change(place, '"one"', '"two"')
        command.signal(signal.SIGUSR2)
        command.signal(signal.SIGWINCH)
        wait_for((place / "run.pid.2").exists, "the second pidfile")
        command.said("this one drains its workers then it waits for TERM or HUP")
        wait_for(lambda: len(command.workers()) == 2, "the old workers to be gone")
        assert len(command.arbiters()) == 2
        wait_for(lambda: load.bodies["two"] > 100, "answers of the new version")
        command.signal(signal.SIGQUIT)
        upgraded(command)
        assert command.wait() == 0
    no_failures(load)


def test_rollback(start, place):
    path = place / "a.sock"
    command = serving(start, "--pid", "run.pid", bind=(f"unix:{path}", "127.0.0.1:0"))
    with Load(command.url) as load:
        change(place, '"one"', '"two"')
        command.signal(signal.SIGUSR2)
        command.signal(signal.SIGWINCH)
        command.said("upgraded: ")
        second = newest(command)
        wait_for(lambda: load.bodies["two"] > 100, "answers of the new version")
        change(place, '"two"', '"one"')
        command.signal(signal.SIGHUP)
        command.said("HUP: generation 1 starts its workers again")
        command.said("is ready after", 6)
        os.kill(second, signal.SIGTERM)
        command.said(rf"the new arbiter \(pid {second}\) has left: this one goes on")
        load.bodies.clear()
        wait_for(lambda: load.answered and load.bodies["one"] > 100, "answers of the old version")
        assert load.bodies["two"] == 0
    no_failures(load)
    assert command.arbiters() == {command.pid}
    assert path.is_socket()
    assert (place / "run.pid").read_text() == f"{command.pid}\n"
    assert not (place / "run.pid.2").exists()
    assert command.stop() == 0
    assert not path.exists()


def test_a_new_one_that_dies_while_the_old_one_waits(start):
    command = serving(start)
    command.signal(signal.SIGUSR2)
    command.signal(signal.SIGWINCH)
    command.said("upgraded: ")
    second = newest(command)
    os.kill(second, signal.SIGKILL)
    command.said(rf"the new arbiter \(pid {second}\) was killed by SIGKILL.*: this one starts its workers again")
    command.said("is ready after", 6)
    assert command.get()[0] == 200
    wait_for(lambda: len(command.workers()) == 2, "the workers of the dead one to leave")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_old_one_that_is_stopped_meanwhile_leaves_the_new_one_alone(start, place, number):
    command = serving(start, "--pid", "run.pid")
    (place / "app.py").write_text("import time\ntime.sleep(1)\n" + (place / "app.py").read_text())
    command.signal(signal.SIGUSR2)
    wait_for((place / "run.pid.2").exists, "the second pidfile")
    command.signal(number)
    assert command.wait() == (-9 if number == signal.SIGKILL else 0)
    second = upgraded(command)
    command.said("is ready after", 4)
    assert command.get()[0] == 200
    assert (place / "run.pid").read_text() == f"{second}\n"


def test_winch_and_hup(start):
    command = serving(start)
    old = command.workers()
    command.signal(signal.SIGWINCH)
    wait_for(lambda: not command.workers(), "the workers to leave")
    with Client(command.url) as client:
        client.request()
        command.signal(signal.SIGHUP)
        assert client.read_response().status == 200
    wait_for(lambda: len(command.workers()) == 2, "two workers")
    assert not command.workers() & old
    command.signal(signal.SIGWINCH)
    wait_for(lambda: not command.workers(), "the workers to leave")
    assert command.stop() == 0


def test_other_addresses(start, place):
    config = place / "pronghorn.toml"
    config.write_text(f'bind = ["unix:{place}/a.sock", "unix:{place}/b.sock"]\n')
    command = start("--workers", "1", "app:app", bind=()).ready(1)
    # The same file in other words, one less, one more.
    config.write_text(f'bind = ["unix:{place}/./a.sock", "unix:{place}/c.sock"]\n')
    inode = (place / "a.sock").stat().st_ino
    command.signal(signal.SIGUSR2)
    last = upgraded(command)
    assert (place / "a.sock").stat().st_ino == inode
    assert not (place / "b.sock").exists()
    for name in "ac":
        with Client(f"unix:{place}/{name}.sock") as client:
            assert client.get().status == 200
    os.kill(last, signal.SIGTERM)
    wait_for(lambda: not command.processes(), "everything to be gone")
    assert not (place / "a.sock").exists()
    assert not (place / "c.sock").exists()


def test_a_port_in_other_words(start, place):
    command = serving(start)
    port = command.address[1]
    assert command.stop() == 0
    config = place / "pronghorn.toml"
    config.write_text(f'bind = [":{port}"]\n')
    command = start("--workers", "1", "app:app", bind=()).ready(1)
    config.write_text(f'bind = ["0.0.0.0:{port}"]\n')
    command.signal(signal.SIGUSR2)
    upgraded(command)
    assert command.get()[0] == 200


def test_preload_takes_new_code(start, place):
    command = serving(start, "--preload")
    change(place, '"one"', '"two"')
    command.signal(signal.SIGUSR2)
    upgraded(command)
    assert version(command) == "two"


def test_a_console_script_takes_the_interpreter_it_names_now(start, place):
    script = place / "serve"
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom pronghorn.cli.main import main\nsys.exit(main())\n")
    script.chmod(0o755)
    command = serving(start, command=(str(script),))
    other = another_python(place)
    script.write_text(script.read_text().replace(sys.executable, str(other)))
    command.signal(signal.SIGUSR2)
    pid = upgraded(command)
    assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] == str(other).encode()


def test_a_program_that_calls_run_is_run_again(start, place):
    program = place / "program.py"
    program.write_text('import pronghorn, sys\nsys.exit(pronghorn.run("app:app", workers=2, bind="127.0.0.1:0"))\n')
    command = start(command=(sys.executable, str(program)), bind=()).ready(2)
    program.write_text(program.read_text().replace("workers=2", "workers=1"))
    command.signal(signal.SIGUSR2)
    upgraded(command)
    assert len(command.workers()) == 1
    assert command.get()[0] == 200


def test_a_folder_behind_a_link_is_followed_anew(start, place):
    for name in ("first", "second"):
        (place / name).mkdir()
        (place / name / "app.py").write_text((place / "app.py").read_text().replace('"one"', f'"{name}"'))
    link = place / "current"
    link.symlink_to(place / "first")
    command = start("app:app", "--workers", "1", command=(*SHELL, str(link))).ready(1)
    assert version(command) == "first"
    link.unlink()
    link.symlink_to(place / "second")
    command.signal(signal.SIGUSR2)
    upgraded(command)
    assert version(command) == "second"


SHELL = ("/bin/sh", "-c", f'cd "$0" && exec {sys.executable} -m pronghorn "$@"')


def test_the_application_sees_none_of_it(start, place):
    change(place, ".encode()]", '.encode(), *(f" {n}".encode() for n in os.environ if "PRONGHORN" in n)]')
    command = serving(start)
    command.signal(signal.SIGUSR2)
    upgraded(command)
    assert command.get()[1].split()[1:] == ["one"]


def test_no_descriptor_is_lost_or_gained(start):
    command = serving(start)
    counts = []
    for number in range(1, 4):
        os.kill(newest(command), signal.SIGUSR2)
        pid = upgraded(command, number)
        counts.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
    # What they share is counted as well: two workers, each with its pipe.
    assert len(set(counts)) == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('errorlog = "/nowhere/error.log"\n', "/nowhere/error.log"),
        ('pidfile = "/nowhere/run.pid"\n', "/nowhere/run.pid"),
    ],
)
def test_what_the_new_one_cannot_open_is_told(start, place, more, words):
    config = place / "pronghorn.toml"
    config.write_text("workers = 1\n")
    command = start("app:app").ready(1)
    config.write_text("workers = 1\n" + more)
    command.signal(signal.SIGUSR2)
    (line,) = command.said(r"upgrade failed: .*")
    assert words in line
    assert "Traceback" not in command.text
    assert command.get()[0] == 200


def test_an_address_that_the_new_one_cannot_have_is_told(start, place):
    config = place / "pronghorn.toml"
    path = f"unix:{place}/a.sock"
    config.write_text(f'workers = 1\nbind = ["{path}"]\n')
    command = start("app:app", bind=()).ready(1)
    config.write_text(f'workers = 1\nbind = ["{path}", "unix:{place}/b.sock", "unix:/nowhere/c.sock"]\n')
    command.signal(signal.SIGUSR2)
    (line,) = command.said(r"upgrade failed: .*")
    assert "cannot listen on unix:/nowhere/c.sock: its folder does not exist" in line
    assert "Traceback" not in command.text
    wait_for(lambda: command.arbiters() == {command.pid}, "the new arbiter to be gone")
    assert (place / "a.sock").is_socket()
    assert not (place / "b.sock").exists()


def test_files_that_only_the_old_one_had_go_with_it(start, place):
    """Also where it left before the new one could say anything."""
    config = place / "pronghorn.toml"
    config.write_text(f'workers = 1\npidfile = "old.pid"\nbind = ["unix:{place}/a.sock", "unix:{place}/b.sock"]\n')
    command = start("app:app", bind=()).ready(1)
    config.write_text(f'workers = 1\npidfile = "new.pid"\nbind = ["unix:{place}/a.sock"]\n')
    (place / "app.py").write_text("import time\ntime.sleep(1)\n" + (place / "app.py").read_text())
    command.signal(signal.SIGUSR2)
    wait_for((place / "new.pid").exists, "the second pidfile")
    command.signal(signal.SIGTERM)
    last = upgraded(command)
    assert {path.name for path in place.glob("*.[ps][io]*")} == {"a.sock", "new.pid"}
    os.kill(last, signal.SIGTERM)
    wait_for(lambda: not command.processes(), "everything to be gone")
    assert not list(place.glob("*.[ps][io]*"))


def test_a_successor_that_is_killed_leaves_no_pidfile(start, place):
    command = serving(start, "--pid", "run.pid")
    (place / "app.py").write_text("import time\ntime.sleep(60)\n")
    command.signal(signal.SIGUSR2)
    wait_for((place / "run.pid.2").exists, "the second pidfile")
    os.kill(int((place / "run.pid.2").read_text()), signal.SIGKILL)
    command.said("upgrade failed: ")
    assert [path.name for path in place.glob("run.pid*")] == ["run.pid"]


@pytest.mark.parametrize("seed", range(12))
def test_two_that_end_at_once_leave_nothing_behind(start, place, seed):
    print(f"seed {seed}")
    dice = random.Random(seed)
    command = serving(start, "--pid", "run.pid", workers=1, bind=(f"unix:{place}/a.sock",))
    if dice.random() < 0.5:
        (place / "app.py").write_text("import time\ntime.sleep(1)\n" + (place / "app.py").read_text())
    command.signal(signal.SIGUSR2)
    wait_for((place / "run.pid.2").exists, "the second pidfile")
    second = int((place / "run.pid.2").read_text())
    if dice.random() < 0.5:
        command.signal(signal.SIGWINCH)
        command.said("WINCH: the workers drain")
    pair = [command.pid, second]
    dice.shuffle(pair)
    stops = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT]
    first = dice.choice([*stops, *stops, signal.SIGKILL])
    os.kill(pair[0], first)
    if first == signal.SIGKILL:
        # Otherwise it may be the last one, which removes nothing.
        wait_for(lambda: not alive(pair[0]), "its death")
    # The gap is what is random here, not a wait for something.
    time.sleep(dice.choice([0, 0, 0.001, 0.003, 0.01, 0.05, 0.3]))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pair[1], dice.choice(stops))
    wait_for(lambda: not command.processes(), f"everything to be gone\n{command.text}", PATIENCE)
    assert not list(place.glob("run.pid*"))
    assert not (place / "a.sock").exists()
    assert "Traceback" not in command.text


@pytest.mark.parametrize("seed", range(3))
def test_random_signals_to_old_and_new_lead_to_one_server(start, place, seed):
    print(f"seed {seed}")
    dice = random.Random(seed)
    command = serving(start, "--pid", "run.pid")
    with Load(command.url) as load:
        for _ in range(30):
            pid = dice.choice(sorted(command.arbiters()))
            number = dice.choice([signal.SIGUSR2] * 3 + [signal.SIGWINCH, signal.SIGHUP, signal.SIGHUP, signal.SIGUSR1])
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            answered = load.answered
            if dice.random() < 0.5:
                wait_for(lambda answered=answered: load.answered > answered or _paused(command), "an answer or a pause")
        for pid in command.arbiters():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGHUP)
        answered = load.answered
        wait_for(lambda: load.answered > answered + 50, f"requests to be answered\n{command.text}", PATIENCE)
    no_failures(load)
    told = set()

    def gone():
        # A new arbiter may still be on its way.
        for pid in command.arbiters() - told:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            told.add(pid)
        return not command.processes()

    wait_for(gone, f"everything to be gone\n{command.text}", PATIENCE)
    assert not list(place.glob("run.pid*"))


def _paused(command):
    return not command.workers()
