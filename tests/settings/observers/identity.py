"""What `IdentityOptions` decide; what only root sees stands in tests/arbiter/test_privileges.py."""

import stat

from tests.settings.observers.registry import observes


@observes("umask")
def umask(start, place):
    start(bind=f"unix:{place}/shop.sock", umask=0o027).ready(1)
    assert stat.S_IMODE((place / "shop.sock").stat().st_mode) == 0o750
