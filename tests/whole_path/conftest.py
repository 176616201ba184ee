"""What the tests of the whole path need not do anew each time."""

import functools
import ssl
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once() -> Iterator[None]:
    """Share one TLS context: nobody speaks TLS here, and each dial would read all certificates.

    To read the some hundred and forty of them takes 20 ms of CPU, a tenth of what such a test costs. A
    context with other arguments is another one, and whoever changes one here would change it for all: none
    of our code does, and ccxt only hands it to aiohttp.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield
