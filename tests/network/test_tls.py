"""All clients of ccxt's check certificates by one context, and check them as ever."""

import asyncio
import os
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ccxt.pro
import certifi
import pytest

from collector.exchanges import Endpoints
from collector.network.markets import Source
from collector.network.rest import RestClient
from collector.network.tls import share_tls


@pytest.fixture(autouse=True)
def contexts_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of other things share one."""
    made = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", getattr(made, "__wrapped__", made))


SOURCE = Source("bybit", "live", Endpoints(), ("linear",))


def test_two_clients_have_one_context_that_checks_as_ccxts_own() -> None:
    async def contexts() -> list[ssl.SSLContext]:
        own = ccxt.pro.bybit()
        own.open()
        clients = [RestClient(SOURCE, 1.0)._ccxt for _ in range(2)]
        for client in clients:
            client.open()
        found = [client.ssl_context for client in (*clients, own)]
        assert all(client.tcp_connector._ssl is client.ssl_context for client in clients)
        for client in (*clients, own):
            client.timeout_on_exit = 0
            await client.close()
        return found

    one, other, own = asyncio.run(contexts())
    assert one is other is not own
    for fact in ("verify_mode", "check_hostname", "minimum_version", "options", "verify_flags"):
        assert getattr(one, fact) == getattr(own, fact)
    assert one.get_ca_certs() == own.get_ca_certs()


@pytest.mark.parametrize(
    "told",
    [
        {"verify": False},
        {"ssl_context": "own"},
        {"options": {"include_OS_certificates": True}},
        {"cafile": "/nowhere"},
    ],
)
def test_who_is_told_to_check_otherwise_is_left_alone(told: dict[str, Any]) -> None:
    client = ccxt.pro.bybit(told)
    share_tls(client)
    assert client.ssl_context == told.get("ssl_context")


def test_certificates_that_were_written_anew_are_read_anew(tmp_path: Path) -> None:
    certificates = tmp_path / "certificates.pem"
    certificates.write_bytes(Path(certifi.where()).read_bytes())
    told = {"verify": True, "ssl_context": None, "options": {}, "cafile": str(certificates)}
    before, again, after = (SimpleNamespace(**told) for _ in range(3))
    share_tls(before)
    share_tls(again)
    os.utime(certificates, ns=(1, 1))
    share_tls(after)
    assert before.ssl_context is again.ssl_context is not after.ssl_context
