"""Root binds, somebody else serves: who runs the application, what it may use, and what is said if that cannot be."""

import grp
import json
import os
import pwd
import re
import signal
import stat
import sys
import tempfile
from pathlib import Path

import pytest
from tests.support.process import Server
from tests.support.raw import Client, wait_for

from pronghorn.options.account import Account, find_account, find_group, find_user

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

NOBODY = pwd.getpwnam("nobody")

APP = """
import os
try:
    os.seteuid(0)
    regained = True
except PermissionError:
    regained = False
at_import = (os.getresuid(), os.getresgid(), os.getgroups())

import ctypes
death_signal = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(death_signal))

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr((at_import, regained, death_signal.value, len(body))).encode()]
"""

LOGS = "    logging.getLogger('shop').warning('asked')\n    body"


# What is imported late is imported as somebody who may have no access to this interpreter's folder.
COMMAND = (
    sys.executable,
    "-c",
    (
        "import ctypes, locale, sys, encodings.idna, pronghorn.arbiter, pronghorn.cli.command; "
        "from pronghorn.cli.main import main; "
        "sys.exit(main())"
    ),
)


@pytest.fixture
def public():
    """A folder that everybody may enter, with an application; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "app.py").write_text(APP)
        yield folder


@pytest.fixture
def serve(public):
    """Starts commands in that folder."""
    started = []

    def run(*arguments, **options):
        started.append(Server(public, *arguments, "--workers", "1", "app:app", command=COMMAND, **options))
        return started[-1]

    yield run
    for server in started:
        with server:
            pass


@as_root
@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_the_application_never_sees_root(serve, preload):
    command = serve("--user", "nobody", *preload).ready(1)
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    (at_import, regained, death_signal, _) = eval(command.get()[1])  # noqa: S307 - of our own application
    assert at_import == ((uid,) * 3, (gid,) * 3, [])
    assert regained is False
    # PR_GET_PDEATHSIG on the thread that imported the application: with --preload that of the arbiter.
    assert death_signal == (0 if preload else signal.SIGTERM)
    assert Path(f"/proc/{command.pid}").stat().st_uid == (uid if preload else 0)


@as_root
def test_the_groups_of_the_user(serve):
    command = serve("--user", "nobody", "--group", "mail", "--initgroups").ready(1)
    ((_, gids, groups), *_) = eval(command.get()[1])  # noqa: S307 - of our own application
    mail = grp.getgrnam("mail").gr_gid
    assert gids == (mail,) * 3
    assert set(groups) == set(os.getgrouplist("nobody", mail))


@as_root
def test_files_belong_to_the_user_and_logs_can_be_reopened(serve, public):
    logs = public / "logs"
    logs.mkdir(mode=0o755)
    command = serve(
        *("--user", "nobody", "--umask", "027", "--pid", "run.pid"),
        *("--error-logfile", str(logs / "error.log"), "--access-logfile", str(logs / "access.log")),
        bind=[f"unix:{public}/a.sock"],
    )
    wait_for(lambda: (logs / "error.log").exists() and "is ready" in (logs / "error.log").read_text(), "the start")
    owned = {name: (public / name).stat() for name in ("a.sock", "logs/error.log", "logs/access.log", "run.pid")}
    assert {name: found.st_uid for name, found in owned.items()} == {
        "a.sock": NOBODY.pw_uid,
        "logs/error.log": NOBODY.pw_uid,
        "logs/access.log": NOBODY.pw_uid,
        "run.pid": 0,
    }
    assert stat.S_IMODE(owned["a.sock"].st_mode) == 0o750
    assert all(stat.S_IMODE(owned[name].st_mode) == 0o640 for name in owned if name != "a.sock")
    for name in ("error.log", "access.log"):
        (logs / name).rename(logs / f"{name}.1")
    command.signal(signal.SIGUSR1)

    def lands_in_the_new_file():
        with Client(f"unix:{public}/a.sock") as client:
            assert client.get("/after").status == 200
        return (logs / "access.log").exists() and "/after" in (logs / "access.log").read_text()

    wait_for(lands_in_the_new_file, "a line in the new file")
    assert (logs / "access.log").stat().st_uid == NOBODY.pw_uid
    assert "cannot be opened anew" not in (logs / "error.log").read_text()


@as_root
def test_log_files_of_a_configuration_can_be_reopened_as_well(serve, public):
    logs = public / "logs"
    logs.mkdir(mode=0o755)
    (public / "app.py").write_text(
        "import logging\nlogging.getLogger('shop').warning('imported')\n" + APP.replace("    body", LOGS, 1)
    )
    handlers = {
        "console": {"class": "logging.StreamHandler"},
        "file": {"class": "logging.FileHandler", "filename": str(logs / "shop.log")},
    }
    config = {"version": 1, "handlers": handlers, "loggers": {"shop": {"handlers": ["file"]}}}
    (public / "logs.json").write_text(json.dumps(config))
    command = serve("--user", "nobody", "--log-config-json", str(public / "logs.json")).ready(1)
    assert (logs / "shop.log").stat().st_uid == NOBODY.pw_uid
    (logs / "shop.log").rename(logs / "shop.log.1")
    command.signal(signal.SIGUSR1)
    wait_for((logs / "shop.log").exists, "the new file")

    def lands_in_the_new_file():
        assert command.get()[0] == 200
        return "asked" in (logs / "shop.log").read_text()

    wait_for(lands_in_the_new_file, "a line in the new file")
    assert (logs / "shop.log").stat().st_uid == NOBODY.pw_uid
    assert "cannot be opened anew" not in command.text


@as_root
def test_a_log_behind_a_link_is_not_given_away(serve, public):
    (public / "precious").write_text("")
    (public / "error.log").symlink_to(public / "precious")
    serve("--user", "nobody", "--access-logfile", str(public / "error.log")).ready(1)
    assert (public / "precious").stat().st_uid == 0


@as_root
def test_a_reload_and_an_upgrade_keep_the_user(serve):
    command = serve("--user", "nobody").ready(1)
    command.signal(signal.SIGHUP)
    command.said("generation 2 serves")
    command.signal(signal.SIGUSR2)
    command.said("the old arbiter .* has left")
    assert eval(command.get()[1])[0][0] == (NOBODY.pw_uid,) * 3  # noqa: S307 - of our own application


@as_root
@pytest.mark.parametrize("way", ["reload", "upgrade"])
def test_another_user_gets_the_files_only_if_it_serves(serve, public, way):
    config = public / "pronghorn.toml"
    (public / "logs").mkdir()
    files = f'errorlog = "{public}/logs/error.log"\nbind = "unix:{public}/a.sock"\n'
    config.write_text(f'user = "nobody"\n{files}')
    command = serve(bind=())
    log = public / "logs" / "error.log"
    wait_for(lambda: log.exists() and "is ready" in log.read_text(), "the start")

    def owners():
        return [(public / name).stat().st_uid for name in ("a.sock", "logs/error.log")]

    other = pwd.getpwnam("daemon").pw_uid
    good = (public / "app.py").read_text()
    number = signal.SIGHUP if way == "reload" else signal.SIGUSR2
    config.write_text(f'user = "daemon"\n{files}')
    (public / "app.py").write_text("raise ValueError\n")
    command.signal(number)
    wait_for(lambda: f"{way} failed" in log.read_text(), "the failure")
    wait_for(lambda: owners() == [NOBODY.pw_uid] * 2, "the files to be given back")
    (public / "app.py").write_text(good)
    command.signal(number)
    words = r"\] worker \d .* has left|the old arbiter .* has left"
    wait_for(lambda: re.search(words, log.read_text()), "the change")
    assert owners() == [other] * 2
    with Client(f"unix:{public}/a.sock") as client:
        assert eval(client.get().body)[0][0] == (other,) * 3  # noqa: S307 - of our own application
    os.kill(int(re.findall(r"arbiter pid (\d+)", log.read_text())[-1]), signal.SIGTERM)


@as_root
def test_bodies_are_spooled_as_the_user(serve, public):
    spool = public / "spool"
    spool.mkdir()
    command = serve("--user", "nobody", "--spool-dir", str(spool))
    assert command.wait() == 4 or command.process.returncode == 1
    assert f"spool_dir: user {NOBODY.pw_uid} may not write to '{spool}'" in command.text
    os.chown(spool, NOBODY.pw_uid, NOBODY.pw_gid)
    command = serve("--user", "nobody", "--spool-dir", str(spool)).ready(1)
    with Client(command.url) as client:
        response = client.get(method="POST", body=bytes(5_000_000))
    assert eval(response.body)[3] == 5_000_000  # noqa: S307 - of our own application


@as_root
def test_root_on_a_privileged_port_is_said_once(serve):
    command = serve("--bind", "127.0.0.1:883", bind=()).ready(1)
    warning = "the application runs as root: http://127.0.0.1:883 needs root only to be opened; --user names"
    assert command.text.count(warning) == 1
    command.signal(signal.SIGHUP)
    command.said("generation 2 serves")
    assert command.text.count(warning) == 1


@as_root
def test_a_privileged_port_and_a_user(serve):
    command = serve("--bind", "127.0.0.1:884", "--user", "nobody", bind=()).ready(1)
    assert "runs as root" not in command.text
    assert command.get()[0] == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--user", "nobody_of_this_name"), "--user: user 'nobody_of_this_name' is no user of this machine"),
        (("--group", "none_of_this_name"), "--group: group 'none_of_this_name' is no group of this machine"),
        (("--user", "4294967295"), "--user: user 4294967295 is no user or group"),
        (("--umask", "27"), "--umask: umask '27' is not a set of permission bits: write 0o027 or 027"),
        (("--umask", "01000"), "--umask: umask must be at most 0o777"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(serve, arguments, words):
    command = serve(*arguments)
    assert command.wait() == 2
    assert len(command.lines) == 1
    assert words in command.lines[0]


@as_root
def test_a_number_without_an_entry(serve):
    command = serve("--user", "54321")
    assert command.wait() == 2
    assert "user 54321 has no entry that names its group: set group too" in command.text
    command = serve("--user", "54321", "--group", "54322").ready(1)
    assert eval(command.get()[1])[0] == ((54321,) * 3, (54322,) * 3, [])  # noqa: S307 - of our own application


@as_root
def test_only_root_can_switch(public):
    become = f"import os; os.setgroups([]); os.setgid({NOBODY.pw_gid}); os.setuid({NOBODY.pw_uid}); "
    code = COMMAND[-1].replace("sys.exit(", become + "sys.exit(")
    command = Server(public, "--user", "daemon", "app:app", command=(sys.executable, "-c", code))
    with command:
        assert command.wait() == 2
    assert len(command.lines) == 1
    assert f"user 'daemon': only root can switch, and this process runs as user {NOBODY.pw_uid}" in command.text


def test_names_and_numbers():
    assert find_user("nobody") == NOBODY
    assert find_user(str(NOBODY.pw_uid)) == NOBODY
    assert find_group("mail") == grp.getgrnam("mail").gr_gid
    assert find_account("nobody", None, initgroups=False) == Account(NOBODY.pw_uid, NOBODY.pw_gid)
    with pytest.raises(ValueError, match="no groups to look up"):
        find_account("54321", "0", initgroups=True)


def test_the_umask_of_the_process_counts_for_logs_and_not_for_sockets(serve, public):
    before = os.umask(0o077)
    try:
        command = serve("--pid", "run.pid", "--access-logfile", "access.log", bind=[f"unix:{public}/a.sock"]).ready(1)
    finally:
        os.umask(before)
    assert command.text
    modes = {name: stat.S_IMODE((public / name).stat().st_mode) for name in ("a.sock", "access.log", "run.pid")}
    assert modes == {"a.sock": 0o777, "access.log": 0o600, "run.pid": 0o600}


def test_a_file_may_write_numbers(tmp_path, public, serve):
    (public / "gunicorn.conf.py").write_text(f"user = {os.geteuid()}\ngroup = {os.getegid()}\numask = 0o77\n")
    command = serve(bind=[f"unix:{public}/a.sock"]).ready(1)
    assert command.text
    assert stat.S_IMODE((public / "a.sock").stat().st_mode) == 0o700
