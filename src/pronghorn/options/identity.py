"""What can be set about who the processes are."""

from typing import Annotated

from msgspec import Struct

from pronghorn.options.account import find_group, find_user
from pronghorn.options.option import Option, Unit


class IdentityOptions(Struct, frozen=True, kw_only=True):
    """The user that the application runs as."""

    user: Annotated[
        str | None,
        Option(
            doc="User that the workers become before they run any code of the application, by name or number. The "
            "server is started by root then, which it needs for ports below 1024 and not for more.",
            flags=("--user", "-u"),
            gunicorn="user",
            metavar="USER",
            check=find_user,
            number_as_text=True,
            default_text="whoever starts the server",
        ),
    ] = None

    group: Annotated[
        str | None,
        Option(
            doc="Group that the workers switch to, by name or number.",
            flags=("--group", "-g"),
            gunicorn="group",
            metavar="GROUP",
            check=find_group,
            number_as_text=True,
            default_text="the user's own; without `user` that of whoever starts the server",
        ),
    ] = None

    initgroups: Annotated[
        bool,
        Option(
            doc="Give the workers all groups that `user` is a member of. Without it they have none but `group`.",
            gunicorn="initgroups",
        ),
    ] = False

    umask: Annotated[
        int,
        Option(
            doc="Permission bits that are taken from the files the server makes: unix sockets (0777), log files and "
            "the pidfile (0644). The application's own files are not concerned.",
            flags=("--umask", "-m"),
            gunicorn="umask",
            unit=Unit.MODE,
            minimum=0,
            maximum=0o777,
        ),
    ] = 0
