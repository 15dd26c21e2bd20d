"""`pronghorn --check-config`: would it start? Reads the settings and imports the application."""

from pronghorn.cli.source import Source


def check_config(source: Source) -> int:
    """Exit status 0 and one line if all is well. SettingsError or AppLoadError if not."""
    options = source.load().settings.app
    # Imported here because the settings may be wrong, and then the application is not looked at.
    from pronghorn.apps.load import load_app  # noqa: PLC0415

    load_app(options)
    print(f"The settings are right and {options.app} can be served.")
    return 0
