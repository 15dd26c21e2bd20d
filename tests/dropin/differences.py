"""Every way in which the two servers are seen to differ, and why it is on purpose."""

from tests.dropin.compare import Meant

SAME = "the same"

REFUSALS = (
    Meant("a refusal has a Date too (RFC 9110 section 6.6.1)", "asked/*/headers/date", gunicorn="", pronghorn="now"),
    Meant("and says who refuses", "asked/*/headers/server", gunicorn="", pronghorn="pronghorn"),
    Meant(
        "a refusal is one line of plain text that says what is wrong",
        "asked/*/headers/content-type",
        gunicorn="text/*",
        pronghorn="text/plain; charset=utf-8",
    ),
    Meant(SAME, "asked/*/body", gunicorn="<html>*"),
    Meant(
        "RFC 9112 section 6.3: without a final `chunked` the length of a request is unknown, and the answer is 400",
        "asked/unknown coding/status",
        gunicorn="501 *",
        pronghorn="400 *",
    ),
    Meant(
        "RFC 9110 section 15.6.6: the status for a version that is not supported is 505",
        "asked/version 2.0/status",
        gunicorn="400 *",
        pronghorn="505 *",
    ),
    Meant("RFC 9112 section 3.2: a request of HTTP/1.1 without Host is answered 400", "asked/no host/*"),
)

CONNECTIONS = (
    Meant(
        "RFC 9110 section 2.5: a server answers with its own version, and says HTTP/1.1 to a client of 1.0 too",
        "asked/*/version",
        gunicorn="HTTP/1.0",
        pronghorn="HTTP/1.1",
    ),
    Meant(
        "connections are kept: nobody waits for a thread that holds one, as with Gunicorn's sync worker",
        "asked/*/kept",
        gunicorn="False",
        pronghorn="True",
    ),
    Meant(SAME, "asked/*/headers/connection", gunicorn="close", pronghorn=""),
    Meant(
        "RFC 9112 section 9.3: that a connection is kept need not be said to a client of HTTP/1.1",
        "asked/*/headers/connection",
        gunicorn="keep-alive",
        pronghorn="",
    ),
    Meant(
        "RFC 9110 section 10.1.1: no 100 when the body is there already",
        "asked/expect/before it",
        gunicorn="100 Continue",
        pronghorn="",
    ),
)

APPLICATION = (
    Meant(
        "RFC 9110 section 5.3: lines of one field are joined by a comma and a space",
        "asked/environ/body/HTTP_X_TWO",
        gunicorn="1,2",
        pronghorn="1, 2",
    ),
    Meant(
        "methods are case-sensitive (RFC 9110 section 9.1), and which ones there are is for the application to say",
        "asked/lower-case method/*",
    ),
    Meant(
        "there are 8 threads by default: only `sync` says that there is one",
        "asked/*/body/wsgi.multithread",
        gunicorn="False",
        pronghorn="True",
    ),
    Meant(
        "a second process may serve at any time: a worker is replaced by one that is ready before it leaves",
        "asked/*/body/wsgi.multiprocess",
        gunicorn="False",
        pronghorn="True",
    ),
    Meant(
        "a unix socket has no host name; what the client calls it is in HTTP_HOST, which PEP 3333 prefers",
        "asked/*/body/SERVER_NAME",
        gunicorn="shop.test",
        pronghorn="localhost",
    ),
    Meant(
        "what is said in a proxy's name counts when a trusted proxy says it; otherwise it is dropped, not handed on",
        "asked/*/body/HTTP_X_FORWARDED_*",
        case="untrusted_proxy",
        pronghorn="",
    ),
    Meant(
        "a request that takes too long is answered 504, and its worker goes on",
        "asked/slow/status",
        gunicorn="500 *",
        pronghorn="504 *",
    ),
)

LOGS = (
    Meant(
        "the line of a failed request has its path and what was sent", "*: *500 0 *", gunicorn="1 times", pronghorn=""
    ),
    Meant(SAME, "*: *500 22 *", gunicorn="", pronghorn="1 times"),
    Meant(SAME, "*: *GET None 500*", gunicorn="1 times", pronghorn=""),
    Meant(SAME, "*: *GET /error 500*", gunicorn="", pronghorn="1 times"),
    Meant(SAME, "*: * U=None * s=500 B=0 *", gunicorn="1 times", pronghorn=""),
    Meant(SAME, "*: * U=/error * s=500 B=22 *", gunicorn="", pronghorn="1 times"),
    Meant(
        "a refused request has a line, which repeats nothing of it: what it would have been is not known",
        '*: * "-" [45]?? *',
        gunicorn="",
    ),
    Meant(SAME, '*: * "* HTTP/1.1" 400 0 *', pronghorn=""),
    Meant("what one of the two refuses, see above", '*: * "[Gg][Ee][Tt] / HTTP/1.1" 200 6 *', case="gthread"),
    Meant("who has no address is a dash", "access.log:  - *", case="django_behind_nginx", pronghorn=""),
    Meant(SAME, "access.log: - - *", case="django_behind_nginx", gunicorn=""),
    Meant("RFC 5426 section 3.1: a datagram ends where it ends, and needs no NUL", "syslog: *\0", pronghorn=""),
    Meant(SAME, "syslog: *", gunicorn=""),
)

HOOKS = (
    Meant(
        "a reload that leaves the number of workers as it is changes no number",
        "hooks: hook nworkers_changed: from 1 to 1",
        case="hooks",
        gunicorn="1 times",
        pronghorn="",
    ),
)

PROCESSES = (Meant("by default a worker for each CPU", "workers", gunicorn="1"), Meant(SAME, "signals/*/workers"))

GROUPS = {
    "Refused requests": REFUSALS,
    "Connections": CONNECTIONS,
    "What the application sees": APPLICATION,
    "Logs": LOGS,
    "Hooks": HOOKS,
    "Processes": PROCESSES,
    "Names": (Meant("its own", "asked/*/headers/server", gunicorn="gunicorn", pronghorn="pronghorn"),),
}
MEANT = tuple(meant for group in GROUPS.values() for meant in group)
