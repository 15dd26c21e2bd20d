"""Giving up root: who a process becomes, for good, before any code of the application runs in it."""

import contextlib
import os
from collections.abc import Iterator

from pronghorn.errors import SettingsError, StartError
from pronghorn.linux import become
from pronghorn.options import Settings
from pronghorn.options.account import Account, find_account, find_group
from pronghorn.options.identity import IdentityOptions

ROOT = 0


def account_of(identity: IdentityOptions) -> Account | None:
    """The account to switch to; None if the process is what it should be already.

    Raises:
        SettingsError: the account is not known, or this process may not become it.
    """
    try:
        wanted = _wanted(identity)
    except ValueError as error:
        raise SettingsError(f"user, group: {error}") from error
    if wanted is None or (os.geteuid() != ROOT and (wanted.uid, wanted.gid) == (os.geteuid(), os.getegid())):
        return None
    if os.geteuid() != ROOT:
        asked = " and ".join(
            f"{name} {value!r}" for name, value in (("user", identity.user), ("group", identity.group)) if value
        )
        raise SettingsError(
            f"{asked}: only root can switch, and this process runs as user {os.geteuid()}, group {os.getegid()}; "
            "start it as root or leave the setting out"
        )
    return wanted


def _wanted(identity: IdentityOptions) -> Account | None:
    if identity.user is not None:
        return find_account(identity.user, identity.group, initgroups=identity.initgroups)
    if identity.group is not None:
        return Account(os.geteuid(), find_group(identity.group))
    return None


def drop(account: Account) -> None:
    """Becomes the account, with no way back. StartError if the kernel refuses, or if there is a way back.

    The supplementary groups of root go as well: Gunicorn keeps them, and with them whatever they may read.
    """
    try:
        os.setgroups(account.groups)
        become(account.uid, account.gid)
    except OSError as error:
        raise StartError(f"cannot become user {account.uid}, group {account.gid}: {error.strerror}") from error
    if account.uid != ROOT and _can_return():
        raise StartError(f"user {account.uid} can become root again (capabilities?): not started")


def _can_return() -> bool:
    try:
        os.seteuid(ROOT)
    except PermissionError:
        return False
    return True


def check_folders(settings: Settings) -> None:
    """StartError if the process, as it is now, cannot use a folder that it will write to."""
    folder = settings.engine.spool_dir
    if folder is not None and not os.access(folder, os.W_OK | os.X_OK):
        raise StartError(f"spool_dir: user {os.geteuid()} may not write to {folder!r}: give the folder to that user")


@contextlib.contextmanager
def masked(umask: int, *, alone: bool = False) -> Iterator[None]:
    """The process makes files with this mask inside the block. Only for the arbiter, which has no other thread.

    Arguments:
        alone: without the mask that the process has. For sockets: under the usual 022 only their owner could connect.
    """
    before = os.umask(umask)
    if not alone:
        # `UMask=` of a systemd unit keeps logs to oneself as ever.
        os.umask(before | umask)
    try:
        yield
    finally:
        os.umask(before)
