"""Merging: defaults < platform < files < environment < command line; every value with its origin, all problems."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from pronghorn.errors import SettingsError
from pronghorn.options import Settings
from pronghorn.options.inherited import resolve
from pronghorn.options.table import SUBJECTS, TABLE
from pronghorn.settings.agree import THREADS_OF, cautions, contradictions
from pronghorn.settings.environment import read_environment, read_platform, read_port
from pronghorn.settings.files import read_files
from pronghorn.settings.given import REMEDY, Given, Hook, Layer, known_names, setting_name, unknown
from pronghorn.settings.gunicorn import ABSENT, Fate
from pronghorn.settings.values import convert

DEFAULT = "default"


class Loaded(Struct, frozen=True):
    """The settings of one server, and where each comes from."""

    settings: Settings
    origins: dict[str, str]
    """By the setting's name: `default`, `pronghorn.toml:7`, `environment WEB_CONCURRENCY`, `--workers` and the like."""
    warnings: tuple[str, ...] = ()
    """Lines the user should see although the server can start."""
    hooks: tuple[Hook, ...] = ()
    """The functions of Python files that are named as Gunicorn's hooks; of two with one name, the later file's."""


def load(  # noqa: PLR0913 - one for each kind of source
    arguments: Iterable[Given],
    environ: Mapping[str, str],
    cwd: Path,
    *,
    config: str | None = None,
    needs_app: bool = True,
    platform: Sequence[Given] = (),
) -> Loaded:
    """Read every source and merge them.

    `arguments` is what the command line gives, `config` the file it names (then no other file is read), relative to
    `cwd`, and `platform` what gives way to all else. With the same arguments this may be called again to reload.
    SettingsError holds one line for each problem of every source, also for a value that another source overrides.
    """
    said = [*read_files(cwd, config), read_environment(environ), Layer(given=list(arguments))]
    layers = [Layer(given=list(platform)), read_platform(environ), *said]
    if not any(given.name == "bind" for layer in (layers[0], *said) for given in layer.given):
        layers.append(read_port(environ))
    problems = [problem for layer in layers for problem in layer.problems]
    warnings = [warning for layer in layers for warning in layer.warnings]
    values: dict[str, Any] = {name: entry.default for name, entry in TABLE.items()}
    origins = dict.fromkeys(TABLE, DEFAULT)
    for given in (given for layer in layers for given in layer.given):
        if given.name not in TABLE:
            _answer(given, problems, warnings)
            continue
        try:
            values[given.name] = convert(TABLE[given.name], given.value)
            origins[given.name] = given.origin
        except ValueError as error:
            problems.append(f"{given.origin}: {error}")
    _settle(values, origins, cwd)
    try:
        values["bind"] = resolve(values["bind"], environ)
    except ValueError as error:
        problems.append(f"{origins['bind']}: {error}")
    problems += contradictions(values, origins, cwd)
    # A source that cannot be read may well be the one that names the application.
    if needs_app and not values["app"] and not problems:
        problems.append("no application: name it as in `pronghorn module:attribute`, or set app in pronghorn.toml")
    if problems:
        raise SettingsError(*problems)
    warnings += cautions(values, origins, cwd)
    hooks = {hook.name: hook for layer in layers for hook in layer.hooks}
    warnings += [f"{hook.origin}: {hook.name}: this version does not run hooks" for hook in hooks.values()]
    return Loaded(_build(values), origins, tuple(warnings), tuple(hooks.values()))


def _answer(given: Given, problems: list[str], warnings: list[str]) -> None:
    """Say what becomes of a setting that only Gunicorn has, if it asks for something."""
    absent = ABSENT[given.name]
    if absent.asks(given.value):
        (problems if absent.fate is Fate.REFUSED else warnings).append(absent.word(given.origin))


def given_by_program(app: str, settings: Mapping[str, object]) -> tuple[tuple[Given, ...], str | None]:
    """What a program gives to `pronghorn.run`, and the file that its `config` names.

    SettingsError with one line for each name that is no setting.
    """
    names = [name for name in settings if name != "config"]
    problems = [f"run(): {unknown(name, known_names(), REMEDY)}" for name in names if setting_name(name) is None]
    config = settings.get("config")
    if config is not None and not isinstance(config, str | os.PathLike):
        problems.append(f"run(config=…): config must be a path, not {config!r}")
        config = None
    if problems:
        raise SettingsError(*problems)
    given = [Given(setting_name(name) or name, settings[name], f"run({name}=…)") for name in names]
    return (Given("app", app, "run()"), *given), None if config is None else os.fspath(config)


def load_from(app: str, environ: Mapping[str, str], cwd: Path, **settings: object) -> Loaded:
    """The settings of a server that a program starts; what it gives stands where the command line would.

    `config` among the settings names a file as `--config` does. SettingsError as with `load`.
    """
    given, config = given_by_program(app, settings)
    return load(given, environ, cwd, config=config)


def _settle(values: dict[str, Any], origins: dict[str, str], cwd: Path) -> None:
    """Fill in what one setting says about another."""
    worker_class = values["worker_class"]
    if worker_class in THREADS_OF and origins["threads"] == DEFAULT:
        values["threads"] = THREADS_OF[worker_class]
        origins["threads"] = f"worker_class {worker_class} ({origins['worker_class']})"
    for name, entry in TABLE.items():
        if entry.option.zero_is_most and values[name] == 0:
            most = entry.option.maximum
            values[name] = min(most, values["limit_request_head"]) if entry.option.unit else most
    if values["reload"] or values["debug"]:
        # What is imported once, before the workers are forked, could not be imported anew.
        values["preload_app"] = False
    if values["chdir"] is not None:
        # A reload happens in the directory that was changed to.
        values["chdir"] = str((cwd / values["chdir"]).resolve())


def _build(values: Mapping[str, Any]) -> Settings:
    subjects = {
        subject: struct(**{name: values[name] for name, entry in TABLE.items() if entry.subject == subject})
        for subject, struct in SUBJECTS.items()
    }
    return Settings(**subjects)
