"""The command `pronghorn`: where the process begins, by its script or by `python -m pronghorn`."""

import signal


def main() -> int:
    """Run the command `pronghorn`; the exit status, as of `cli.command`."""
    # Python has INT raise KeyboardInterrupt, and an exception is lost where nobody can catch it: in the callbacks of
    # weak references that the import system uses, and in destructors. So until the arbiter handles signals INT ends
    # the process, as TERM does. What a shell has ignored for its background stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pronghorn.cli.command import main as run  # noqa: PLC0415 - it takes the tenth of a second that this is about

    return run()
