"""`pronghorn dev`: serve an application while it is written."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pronghorn.cli.source import Source
from pronghorn.dev.discover import default_in
from pronghorn.errors import SettingsError
from pronghorn.options.development import READABLE
from pronghorn.settings import Given, Loaded, load

ORIGIN = "pronghorn dev"

ABOUT = """Serve the Python web application APP on this machine while it is written.

One worker, which reloads when a file changes; readable request lines; Werkzeug's debugger for a Flask application.
Every option of `pronghorn` can be given, and wins over this. Without APP the application is found as `flask run` finds
it: FLASK_APP, wsgi.py, app.py; variables may stand in .env and .flaskenv."""

PRESETS = tuple(
    Given(name, value, ORIGIN)
    for name, value in (
        ("workers", 1),
        ("reload", True),
        ("debug", True),
        ("loglevel", "debug"),
        ("accesslog", "-"),
        ("access_log_format", READABLE),
        # Somebody who looks around in a debugger is not late.
        ("timeout", 0),
    )
)
"""What the command means; only the command line says otherwise, for files are mostly those of production."""

DOTENV = (".flaskenv", ".env")
"""A later file wins; what is set in the environment wins over both, as with Flask."""


class DevSource(Source, frozen=True):
    """What `pronghorn dev` was started with."""

    def read(self, *, needs_app: bool, starts: bool) -> Loaded:
        """Read the settings as a Source does; SettingsError likewise."""
        variables, warnings = read_dotenv(self.cwd, self.environ)
        environ = variables | self.environ
        loaded = load(
            (*PRESETS, *self.arguments),
            environ,
            self.cwd,
            config=self.config,
            mistakes=self.mistakes,
            needs_app=False,
            starts=starts,
            platform=read_flask(environ),
        )
        app = loaded.settings.app
        name = app.app or default_in(Path(app.chdir or self.cwd))
        if needs_app and not name:
            raise SettingsError(
                "no application: name it as in `pronghorn dev module:attribute`, set FLASK_APP, or call its file "
                "app.py or wsgi.py"
            )
        # Flask reads them while the application is imported. By the second, `app.run()` knows that it must not serve.
        variables = {"FLASK_DEBUG": "1", "FLASK_RUN_FROM_CLI": "true"} | variables
        assigned = [f"{key}={value}" for key, value in variables.items() if key not in self.environ]
        app = msgspec.structs.replace(app, app=name, raw_env=(*assigned, *app.raw_env))
        settings = msgspec.structs.replace(loaded.settings, app=app)
        return msgspec.structs.replace(loaded, settings=settings, warnings=(*loaded.warnings, *warnings))

    def files(self) -> list[Path]:
        """The files whose change would change the settings, whether they are there or not."""
        return [*super().files(), *(find_dotenv(name, self.cwd) or self.cwd / name for name in DOTENV)]


def read_flask(environ: Mapping[str, str]) -> list[Given]:
    """What variables of `flask run` say, and `PORT`, which here does not mean every address of the machine."""
    given = []
    if environ.get("FLASK_APP"):
        given.append(Given("app", environ["FLASK_APP"], "environment FLASK_APP"))
    names = [name for name in ("FLASK_RUN_HOST", "FLASK_RUN_PORT", "PORT") if environ.get(name)]
    if names:
        host = environ.get("FLASK_RUN_HOST") or "127.0.0.1"
        port = environ.get("FLASK_RUN_PORT") or environ.get("PORT") or "8000"
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        given.append(Given("bind", address, f"environment {names[0]}"))
    return given


def read_dotenv(folder: Path, environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The variables of `.env` and `.flaskenv`, and what the user should know about them."""
    if environ.get("FLASK_SKIP_DOTENV", "").lower() in ("1", "true", "yes", "y", "t", "on"):
        return {}, []
    found = [path for name in DOTENV if (path := find_dotenv(name, folder)) is not None]
    if found and importlib.util.find_spec("dotenv") is None:
        names = " and ".join(path.name for path in found)
        return {}, [f"{names}: not read; pip install python-dotenv to use what stands there"]
    variables: dict[str, str | None] = {}
    for path in found:
        from dotenv import dotenv_values  # noqa: PLC0415 - somebody else's, and only where there is a file

        try:
            variables |= dotenv_values(path, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: {error}") from error
    return {name: value for name, value in variables.items() if value is not None}, []


def find_dotenv(name: str, folder: Path) -> Path | None:
    """The nearest file of the name, in the folder or above it."""
    return next((path for above in (folder, *folder.parents) if (path := above / name).is_file()), None)
