"""A connection to the application that a file of tests serves as its fixture `url`."""

import pytest
from tests.support.raw import Client


@pytest.fixture
def client(url):
    """One connection."""
    with Client(url) as client:
        yield client


@pytest.fixture
def check_session(client):
    """Call it to count visits in the session of `/count`, which goes through a cookie."""

    def check():
        cookie = "Cookie: none=1"
        for number in range(1, 5):
            response = client.get("/count", cookie)
            assert response.body == str(number).encode()
            cookie = f"Cookie: {response.headers['set-cookie'].partition(';')[0]}"

    return check
