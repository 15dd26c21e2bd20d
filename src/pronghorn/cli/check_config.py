"""`pronghorn --check-config`: would it start? Reads the settings and imports the application."""

from pronghorn.cli.source import Source


def check_config(source: Source) -> int:
    """Exit status 0 and one line if all is well. SettingsError or AppLoadError if not."""
    settings = source.load(starts=True).settings
    # Only here: the arbiter of a running server imports this file too and has no application to find.
    from pronghorn.apps.load import enter_surroundings, load  # noqa: PLC0415
    from pronghorn.worker import classes  # noqa: PLC0415

    enter_surroundings(settings.app)
    greenlets = classes.prepare(settings.fleet.worker_class).greenlets
    if settings.development.debug:
        from pronghorn.dev.discover import find  # noqa: PLC0415

        find(settings.app.app, greenlets=greenlets)
    else:
        load(settings.app.app, greenlets=greenlets)
    print(f"The settings are right, and {settings.app.app} can be served.")
    return 0
