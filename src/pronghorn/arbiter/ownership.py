"""Gives what root has made to the user that the workers are: sockets, log files."""

import logging
import os
from collections.abc import Iterable

from pronghorn.arbiter.listeners import Listener, inode_of
from pronghorn.errors import StartError
from pronghorn.observe import log as observe_log
from pronghorn.observe.access import AccessLog
from pronghorn.options import Settings
from pronghorn.options.account import Account
from pronghorn.worker.privileges import ROOT, account_of

HIGHEST_PRIVILEGED = 1023

log = logging.getLogger("pronghorn.error")


def give(settings: Settings, listeners: Iterable[Listener], access: AccessLog | None) -> None:
    """Hands over the unix sockets that this server bound and the log files it writes."""
    account = account_of(settings.identity)
    if account is None:
        return
    for listener in listeners:
        if listener.inode is not None and inode_of(listener.path) == listener.inode:
            _give_path(listener.path, account)
    give_logs(settings, access)


def give_logs(settings: Settings, access: AccessLog | None) -> None:
    """Hands over the log files, which the workers open anew for USR1."""
    account = account_of(settings.identity)
    if account is None:
        return
    observe_log.give_to(account.uid, account.gid)
    if access is not None:
        access.sink.give_to(account.uid, account.gid)


def root_on_privileged_port(settings: Settings, listeners: Iterable[Listener]) -> str:
    """A warning if the application will run as root only because its port needs root; else empty."""
    account = account_of(settings.identity)
    if os.geteuid() != ROOT or (account is not None and account.uid != ROOT):
        return ""
    low = [listener.url for listener in listeners if not listener.path and 0 < _port(listener) <= HIGHEST_PRIVILEGED]
    if not low:
        return ""
    return f"the application runs as root: {low[0]} needs root only to be opened; --user names whom the workers become"


def _port(listener: Listener) -> int:
    name = listener.socket.getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0


def _give_path(path: str, account: Account) -> None:
    try:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    except OSError as error:
        raise StartError(f"{path} cannot be given to user {account.uid}: {error.strerror}") from error
