"""The Linux-only calls that the Python side makes; the engine's own stand in linux.pxd."""


cdef extern from "sys/prctl.h" nogil:
    int prctl(int option, ...)
    const int PR_SET_PDEATHSIG, PR_SET_NAME


def set_parent_death_signal(int signal):
    """Has the kernel send `signal` to this process when the thread that forked it ends (prctl(2), PR_SET_PDEATHSIG).

    The setting is lost over exec of a set-user-id program and over a change of user, and says nothing if the parent is
    gone already: whoever sets it compares getppid() afterwards.
    """
    if prctl(PR_SET_PDEATHSIG, <unsigned long>signal, 0UL, 0UL, 0UL) != 0:
        raise OSError("prctl(PR_SET_PDEATHSIG) failed")


def set_process_name(str name):
    """Sets the name that `ps -o comm` and `top` show; the kernel keeps the first 15 bytes (prctl(2), PR_SET_NAME)."""
    cdef bytes encoded = name.encode("utf-8", "replace")[:15]
    prctl(PR_SET_NAME, <char*>encoded, 0UL, 0UL, 0UL)
