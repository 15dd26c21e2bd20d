"""Listeners: what is bound, what is said when it cannot be, what is left behind."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.raw import wait_for

from pronghorn.arbiter.listeners import close_listeners, open_listeners
from pronghorn.arbiter.preparation import Preparation, Sources, Task
from pronghorn.errors import ListenError, StartError
from pronghorn.options import NetworkOptions, Settings
from pronghorn.worker.hooks import Hooks


@pytest.fixture
def listen():
    """Opens listeners and closes them afterwards."""
    opened = []

    def run(*addresses, held=()):
        found = open_listeners(addresses, 16, held)
        opened.extend(found)
        return found

    yield run
    close_listeners(opened)


def sources_of(settings):
    return Sources(lambda: (settings, False), Hooks)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def refused(address):
    with pytest.raises(ListenError) as caught:
        open_listeners([address], 16)
    assert "\n" not in str(caught.value)
    assert address in str(caught.value)
    return str(caught.value)


def test_tcp(listen):
    (listener,) = listen("127.0.0.1:0")
    port = listener.socket.getsockname()[1]
    assert listener.url == f"http://127.0.0.1:{port}"
    with socket.create_connection(("127.0.0.1", port)) as client:
        assert client.getpeername()[1] == port


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6_is_bracketed_and_leaves_ipv4_alone(listen):
    (six,) = listen("[::1]:0")
    port = six.socket.getsockname()[1]
    assert six.url == f"http://[::1]:{port}"
    listen(f"127.0.0.1:{port}")
    assert six.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_several_at_once_and_each_only_once(listen, tmp_path):
    found = listen("127.0.0.1:0", f"unix:{tmp_path}/a.sock", f"unix:{tmp_path}/a.sock")
    assert len(found) == 2


def test_all_or_none(tmp_path):
    path = tmp_path / "a.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ListenError):
        open_listeners([f"unix:{path}", f"127.0.0.1:{taken.getsockname()[1]}"], 16)
    assert not path.exists()


def test_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "in use by another process" in refused(f"127.0.0.1:{taken.getsockname()[1]}")


def test_address_of_another_machine():
    assert "no such address" in refused("192.0.2.1:8000")


def test_unknown_host():
    assert "'no.such.host.invalid' is not known" in refused("no.such.host.invalid:8000")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_permission_denied():
    assert "permission denied" in refused("127.0.0.1:1")


def test_a_unix_socket_is_removed_at_the_end(tmp_path):
    path = tmp_path / "a.sock"
    found = open_listeners([f"unix:{path}"], 16)
    assert found[0].url == f"unix:{path}"
    assert path.is_socket()
    close_listeners(found)
    assert not path.exists()


def test_a_unix_socket_that_is_somebody_elses_by_now_stays(tmp_path, listen):
    path = tmp_path / "a.sock"
    old = open_listeners([f"unix:{path}"], 16)
    path.unlink()
    listen(f"unix:{path}")
    close_listeners(old)
    assert path.is_socket()


def test_a_stale_unix_socket_is_taken_over(tmp_path, listen):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listen(f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_unix_socket_that_is_served_is_not(tmp_path, listen):
    listen(f"unix:{tmp_path}/a.sock")
    assert "another server answers there" in refused(f"unix:{tmp_path}/a.sock")


def test_a_file_is_never_removed(tmp_path):
    path = tmp_path / "a.sock"
    path.write_text("precious")
    assert "is not a socket" in refused(f"unix:{path}")
    assert path.read_text() == "precious"


def test_a_folder_that_does_not_exist(tmp_path):
    assert "folder does not exist" in refused(f"unix:{tmp_path}/none/a.sock")


def test_an_inherited_descriptor(listen):
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        (listener,) = listen(f"fd://{inherited.fileno()}")
        assert listener.socket.getsockname() == inherited.getsockname()


def test_a_descriptor_that_does_not_listen():
    with socket.socket() as idle:
        assert "nobody called listen()" in refused(f"fd://{idle.fileno()}")
    reader, writer = os.pipe()
    try:
        assert "is not a socket" in refused(f"fd://{reader}")
    finally:
        os.close(reader)
        os.close(writer)


def test_a_reload_keeps_what_it_has(listen):
    first = listen("127.0.0.1:0")
    second = open_listeners(["127.0.0.1:0"], 16, first)
    assert second == first


def test_a_reload_keeps_what_is_written_in_other_words(listen, tmp_path):
    first = listen("127.0.0.1:0", f"unix:{tmp_path}/a.sock")
    port = first[0].socket.getsockname()[1]
    second = open_listeners([f"unix:{tmp_path}/./a.sock", f"127.1:{port}"], 16, first)
    assert second == first[::-1]
    # Of two names for one address only one can be meant, whichever has it.
    with pytest.raises(ListenError, match="in use"):
        open_listeners([f"127.1:{port}", f"127.0.1:{port}"], 16, first)
    assert first[0].socket.fileno() >= 0


def test_a_reload_opens_what_an_address_in_other_words_has_more(listen):
    """`localhost` in the place of 127.0.0.1 may be ::1 as well."""
    (first,) = listen("127.0.0.1:0")
    port = first.socket.getsockname()[1]
    found = listen(f"localhost:{port}", held=[first])
    assert first in found
    names = {name[0] for *_, name in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}
    assert {one.socket.getsockname()[0] for one in found} == (names if has_ipv6() else {"127.0.0.1"})


def test_a_failed_reload_closes_only_what_it_opened(listen, tmp_path):
    first = listen("127.0.0.1:0")
    with pytest.raises(ListenError):
        open_listeners(["127.0.0.1:0", f"unix:{tmp_path}/b.sock", "fd://987"], 16, first)
    assert first[0].socket.fileno() >= 0
    assert not (tmp_path / "b.sock").exists()


def test_a_reload_keeps_every_socket_of_a_name(listen):
    """`localhost` is 127.0.0.1 and ::1 on many machines; here two addresses that each machine has stand for it."""
    held = [replace(one, text="localhost:0") for one in listen("127.0.0.1:0", "127.0.0.2:0")]
    settings = Settings(network=NetworkOptions(bind=("localhost:0",)))
    preparation = Preparation(2, Task(sources_of(settings), Path.cwd(), held, (), 5))
    found = []
    try:
        wait_for(lambda: found.append(preparation.result()) or found[-1] is not None, "the answer")
    finally:
        preparation.close()
        os.waitpid(preparation.pid, 0)
    assert found[-1].listeners == tuple(held)


def test_a_path_that_is_no_text_is_a_clear_refusal(tmp_path):
    name = os.fsdecode(b"a\xff.sock")
    settings = Settings(network=NetworkOptions(bind=(f"unix:{tmp_path}/{name}",)))
    preparation = Preparation(2, Task(sources_of(settings), Path.cwd(), (), (), 5))
    try:
        with pytest.raises(StartError, match=r"the settings cannot be handed over: .*a\\udcff\.sock.* is not UTF-8"):
            wait_for(preparation.result, "the answer")
    finally:
        preparation.close()
        os.waitpid(preparation.pid, 0)
    assert not list(tmp_path.iterdir())
