"""The user and the group that processes run as, and how they are written: by name or by number."""

import grp
import os
import pwd

from msgspec import Struct


class Account(Struct, frozen=True):
    """A user with groups, as the kernel knows them. `groups` are the supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def find_user(text: str) -> pwd.struct_passwd | int:
    """The entry of the user, or the number if no entry has it. ValueError if there is no user of the name."""
    try:
        return pwd.getpwuid(_number(text)) if _is_number(text) else pwd.getpwnam(text)
    except KeyError:
        if _is_number(text):
            return _number(text)
        raise ValueError(f"{text!r} is no user of this machine") from None


def find_group(text: str) -> int:
    """The number of the group. ValueError if there is no group of the name."""
    if _is_number(text):
        return _number(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ValueError(f"{text!r} is no group of this machine") from None


def find_account(user: str, group: str | None, *, initgroups: bool) -> Account:
    """The account of `user`, with the user's own group where none is named.

    ValueError if a name is unknown, or if a number has no entry that would name the group or the groups.
    """
    found = find_user(user)
    if isinstance(found, int):
        if group is None:
            raise ValueError(f"user {found} has no entry that names its group: set group too")
        if initgroups:
            raise ValueError(f"user {found} has no entry, so initgroups has no groups to look up")
        return Account(found, find_group(group))
    gid = found.pw_gid if group is None else find_group(group)
    groups = tuple(os.getgrouplist(found.pw_name, gid)) if initgroups else ()
    return Account(found.pw_uid, gid, groups)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(text: str) -> int:
    number = int(text)
    # (uid_t)-1 means "leave it as it is" to setresuid(2).
    if number >= 2**32 - 1:
        raise ValueError(f"{text} is no user or group: the highest is {2**32 - 2}")
    return number
