"""Merging: defaults < platform < files < environment < command line; every value with its origin, all problems."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from pronghorn.errors import SettingsError
from pronghorn.options import Settings
from pronghorn.options.inherited import LISTEN_FDS, SCHEME, passed_sockets, resolve
from pronghorn.options.table import SUBJECTS, TABLE
from pronghorn.settings.agree import MEANT_BY_CLASS, cautions, contradictions, refusal, remarks
from pronghorn.settings.environment import read_environment, read_platform, read_port
from pronghorn.settings.files import read_files
from pronghorn.settings.given import DEFAULT, REMEDY, Given, Hook, Layer, known_names, setting_name, unknown
from pronghorn.settings.gunicorn import ABSENT, Fate
from pronghorn.settings.hooks import HOOKS, settle
from pronghorn.settings.values import convert
from pronghorn.settings.writable import unwritable


class Loaded(Struct, frozen=True):
    """The settings of one server, and where each comes from."""

    settings: Settings
    origins: dict[str, str]
    """By the setting's name: `default`, `pronghorn.toml:7`, `environment WEB_CONCURRENCY`, `--workers` and the like."""
    warnings: tuple[str, ...] = ()
    """Lines the user should see although the server can start."""
    hooks: tuple[Hook, ...] = ()
    """The hooks of Python files, imported and checked; of two with one name, the later file's."""


def load(  # noqa: PLR0913 - one for each kind of source
    arguments: Iterable[Given],
    environ: Mapping[str, str],
    cwd: Path,
    *,
    config: Given | None = None,
    mistakes: Sequence[str] = (),
    needs_app: bool = True,
    starts: bool = False,
    platform: Sequence[Given] = (),
) -> Loaded:
    """Read every source and merge them.

    `arguments` is what the command line gives, `mistakes` what is wrong with itself, `config` the file it names (then
    no other file is read), relative to `cwd`, and `platform` what gives way to all else. With the same arguments this
    may be called again to reload. `starts`: a server is to start with them, so the files that it writes are tried.
    SettingsError holds one line for each problem of every source, also for a value that another source overrides.
    """
    said = [*read_files(cwd, config), read_environment(environ), _given(arguments)]
    layers = [Layer(given=list(platform)), read_platform(environ), *said]
    if not any(given.name == "bind" for layer in (layers[0], *said) for given in layer.given):
        layers.append(read_port(environ))
    problems = [*mistakes, *(problem for layer in layers for problem in layer.problems)]
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
            warnings += remarks(given, values[given.name])
        except ValueError as error:
            problems.append(f"{given.origin}: {error}")
    _settle(values, origins, cwd)
    warnings += _prefer_passed(values, origins, environ)
    try:
        values["bind"] = resolve(values["bind"], environ)
    except ValueError as error:
        problems.append(f"{origins['bind']}: {error}")
    patches = [layer.patch for layer in layers if layer.patch is not None]
    problems += [line for patch in patches if (line := refusal(patch, values["worker_class"]))]
    problems += contradictions(values, origins, cwd)
    problems += unwritable(values, origins, cwd) if starts else ()
    hooks, wrong, unused = settle(hook for layer in layers for hook in layer.hooks)
    problems, warnings = problems + wrong, warnings + unused
    # A source that cannot be read may well be the one that names the application.
    if needs_app and not values["app"] and not problems:
        problems.append("no application: name it as in `pronghorn module:attribute`, or set app in pronghorn.toml")
    warnings += cautions(values, origins, cwd)
    if problems:
        raise SettingsError(*problems, warnings=warnings)
    return Loaded(_build(values), origins, tuple(warnings), hooks)


def load_hooks(arguments: Iterable[Given], cwd: Path, *, config: Given | None = None) -> tuple[Hook, ...]:
    """The hooks that `load` finds with the same arguments, and nothing else of what it does.

    SettingsError holds one line for each problem of a source or a hook.
    """
    layers = [*read_files(cwd, config), _given(arguments)]
    hooks, wrong, _ = settle(hook for layer in layers for hook in layer.hooks)
    problems = [problem for layer in layers for problem in layer.problems] + wrong
    if problems:
        raise SettingsError(*problems)
    return hooks


def _given(arguments: Iterable[Given]) -> Layer:
    """What the command line gives, or a program, which may give hooks as well."""
    layer = Layer()
    for given in arguments:
        if given.name not in HOOKS:
            layer.given.append(given)
        elif given.value is not None:
            layer.hooks.append(Hook(given.name, given.value, given.origin))
    return layer


def _prefer_passed(values: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]) -> list[str]:
    """Put the sockets that systemd passed in the place of a `bind` that names none of them; the warning about it.

    As with Gunicorn. Clients that connect to a passed socket wait until somebody accepts, and a `bind` beside a socket
    unit mostly names the very address that systemd holds already.
    """
    passed = tuple(f"{SCHEME}{fd}" for fd in passed_sockets(environ))
    if not passed or any(address.startswith(SCHEME) for address in values["bind"]):
        return []
    origin, origins["bind"] = origins["bind"], f"environment {LISTEN_FDS}"
    unused, values["bind"] = ", ".join(values["bind"]), passed
    remedy = f"name them in bind ({passed[0]}) to have both"
    return [f"{origin}: bind {unused} is not used: the sockets that systemd passed are; {remedy}"]


def _answer(given: Given, problems: list[str], warnings: list[str]) -> None:
    """Say what becomes of a setting that only Gunicorn has, if it asks for something."""
    absent = ABSENT[given.name]
    if absent.asks(given.value):
        (problems if absent.fate is Fate.REFUSED else warnings).append(absent.word(given.origin))


def given_by_program(
    app: str, settings: Mapping[str, object]
) -> tuple[tuple[Given, ...], Given | None, tuple[str, ...]]:
    """What a program gives to `pronghorn.run`, hooks among it; the file that its `config` names; what is no setting."""
    names = [name for name in settings if name != "config"]
    strange = [name for name in names if setting_name(name) is None and name not in HOOKS]
    problems = [f"run(): {unknown(name, known_names(), REMEDY)}" for name in strange]
    config = settings.get("config")
    if config is not None and not isinstance(config, str | os.PathLike):
        problems.append(f"run(config=…): config must be a path, not {config!r}")
        config = None
    given = [
        Given(setting_name(name) or name, settings[name], f"run({name}=…)") for name in names if name not in strange
    ]
    file = None if config is None else Given("config", os.fspath(config), "run(config=…)")
    return (Given("app", app, "run()"), *given), file, tuple(problems)


def load_from(app: str, environ: Mapping[str, str], cwd: Path, **settings: object) -> Loaded:
    """The settings of a server that a program starts; what it gives stands where the command line would.

    `config` among the settings names a file as `--config` does. SettingsError as with `load`.
    """
    given, config, mistakes = given_by_program(app, settings)
    return load(given, environ, cwd, config=config, mistakes=mistakes)


def _settle(values: dict[str, Any], origins: dict[str, str], cwd: Path) -> None:
    """Fill in what one setting says about another."""
    worker_class = values["worker_class"]
    name, meant = MEANT_BY_CLASS.get(worker_class, ("threads", None))
    if meant is not None and origins[name] == DEFAULT:
        values[name] = meant
        origins[name] = f"worker_class {worker_class} ({origins['worker_class']})"
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
