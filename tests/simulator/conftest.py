"""A plain websocket client on the test's own thread: what it reads is what was on the wire."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Self

import aiohttp
import pytest

from collector.simulator import Simulator

TIMEOUT_S = 30


class Client:
    def __init__(self, simulator: Simulator, path: str, **options: Any) -> None:
        self._url = f"ws://127.0.0.1:{simulator.port}{path}"
        self._options = {"autoping": False, "autoclose": False, "max_msg_size": 0} | options
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        try:
            self._runner.run(self._open())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._close())
        self._runner.close()

    def send(self, **message: Any) -> None:
        self.send_text(json.dumps(message))

    def send_text(self, text: str) -> None:
        self._runner.run(self._socket.send_str(text))

    def receive_message(self, timeout_s: float = TIMEOUT_S) -> aiohttp.WSMessage:
        return self._runner.run(self._receive(timeout_s))

    def receive_text(self, timeout_s: float = TIMEOUT_S) -> str:
        message = self.receive_message(timeout_s)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return message.data

    def receive(self, timeout_s: float = TIMEOUT_S) -> Any:
        return json.loads(self.receive_text(timeout_s))

    def get(
        self, path: str, timeout_s: float = TIMEOUT_S, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        return self._runner.run(asyncio.wait_for(self._get(path, headers), timeout_s))

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._session.ws_connect(self._url, **self._options)
        except BaseException:
            await self._session.close()
            raise

    async def _close(self) -> None:
        await asyncio.wait_for(self._socket.close(), TIMEOUT_S)
        await self._session.close()

    async def _receive(self, timeout_s: float) -> aiohttp.WSMessage:
        return await self._socket.receive(timeout=timeout_s)

    async def _get(self, path: str, headers: dict[str, str] | None) -> tuple[int, dict[str, str], str]:
        url = self._url.split("/", 3)
        async with self._session.get(f"http://{url[2]}{path}", headers=headers) as response:
            return response.status, dict(response.headers), await response.text()

    @staticmethod
    def apply(side: dict[float, float], levels: list[Any]) -> None:
        """Apply Bybit's or Binance's levels to a side kept as {price: size}."""
        for price, size in levels:
            if float(size):
                side[float(price)] = float(size)
            else:
                side.pop(float(price), None)


@pytest.fixture
def connect() -> type[Client]:
    """Give the class, so that a test opens as many clients as it needs."""
    return Client


@pytest.fixture
def client(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    """A client with the 50-level book and its snapshot read."""
    with connect(simulator, "/v5/public/linear") as opened:
        opened.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        assert opened.receive()["success"]
        assert opened.receive()["type"] == "snapshot"
        yield opened
