"""The gevent worker cannot run under AddressSanitizer."""

import pytest
from tests.support.process import ADDRESS_SANITIZED, COPIES_STACKS


@pytest.fixture(autouse=True, scope="session")
def _without_address_sanitizer() -> None:
    if ADDRESS_SANITIZED:
        pytest.skip(COPIES_STACKS)
