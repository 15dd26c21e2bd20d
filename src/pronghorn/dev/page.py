"""What is served in the place of an application that cannot be imported: why not."""

import html
from collections.abc import Callable, Iterable
from typing import Any

from pronghorn.dev.local import is_local
from pronghorn.errors import AppLoadError

Start = Callable[[str, list[tuple[str, str]]], object]

STATUS = "500 Internal Server Error"

HEADERS = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ("X-Content-Type-Options", "nosniff"),
]

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; padding: 0 1.5rem; max-width: 60rem }}
h1 {{ font-size: 1.3rem }}
pre {{ font: 14px/1.5 ui-monospace, monospace; padding: 1rem; overflow: auto; border: 1px solid; border-radius: 6px }}
body {{ color: #222; background: #fff }} pre {{ border-color: #c33 }}
@media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #181818 }} }}
</style>
<h1>{title}</h1>
<p>{why}</p>
{trace}<p>The server waits for the next change of a file. Then load this page again.</p>
</html>
"""

TITLE = "The application cannot be imported"
ELSEWHERE = f"{TITLE}. Why stands in the log of the server, and here for clients on its own machine.\n"


class BrokenApplication:
    """A WSGI application that answers every request with 500 and, to clients on this machine, with the traceback."""

    def __init__(self, error: AppLoadError) -> None:
        self._error = error

    def __repr__(self) -> str:
        return f"<BrokenApplication {self._error}>"

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        """Answer one request."""
        kind, text = "text/plain", ELSEWHERE
        if is_local(environ):
            as_page = "text/html" in environ.get("HTTP_ACCEPT", "")
            kind, text = ("text/html", self._page()) if as_page else ("text/plain", self._text())
        body = text.encode(errors="backslashreplace")
        start_response(
            STATUS, [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body))), *HEADERS]
        )
        return [body]

    def _page(self) -> str:
        trace = f"<pre>{html.escape(self._error.trace)}</pre>\n" if self._error.trace else ""
        return PAGE.format(title=TITLE, why=html.escape(str(self._error)), trace=trace)

    def _text(self) -> str:
        return "\n".join(part.rstrip("\n") for part in (self._error.trace, str(self._error)) if part) + "\n"
