"""OKX's frames have the form of the examples in its documentation: keys, order, types of numbers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
from shapes import differences, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

SWAP = "BTC/USDT:USDT"
PUBLIC, BUSINESS = "/okx/ws/v5/public", "/okx/ws/v5/business"
_BOOK = '{"asks":[["8476.98","415","0","13"]],"bids":[["8476.97","256","0","12"]]'
ARGUMENT = '"arg":{"channel":"books","instId":"BTC-USDT"}'
ROWS = f'{_BOOK},"ts":"1597026383085","checksum":0,"prevSeqId":-1,"seqId":123456}}'
FORMS = {
    "ack": f'{{"id":"1512","event":"subscribe",{ARGUMENT},"connId":"a4d3ae55"}}',
    "error": '{"id":"1512","event":"error","code":"60012","msg":"Invalid request: {}","connId":"a4d3ae55"}',
    "books": f'{{{ARGUMENT},"action":"update","data":[{ROWS}]}}',
    "books5": f'{{{ARGUMENT},"data":[{_BOOK},"instId":"BCH","ts":"1670324386802","seqId":363996337}}]}}',
    "bbo-tbt": f'{{{ARGUMENT},"data":[{_BOOK},"ts":"1670324386802","seqId":363996337}}]}}',
    "trades": f'{{{ARGUMENT},"data":[{{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9"'
    ',"sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3","source":"0","seqId":1234}]}',
    "trades-all": f'{{{ARGUMENT},"data":[{{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9"'
    ',"sz":"0.12060306","side":"buy","ts":"1630048897897","source":"0"}]}',
    "candle1m": f'{{{ARGUMENT},"data":[["1597026383085","8533.02","8553.74","8527.17","8548.26","45247"'
    ',"529.5858061","5529.5858061","0"]]}',
    "market/books": f'{{"code":"0","msg":"","data":[{_BOOK},"ts":"1629966436396","seqId":3235851742}}]}}',
    "market/candles": '{"code":"0","msg":"","data":[["1597026383085","3.721","3.743","3.677","3.708"'
    ',"8422410","22698348.04828491","12698348.04828491","0"]]}',
    "public/time": '{"code":"0","msg":"","data":[{"ts":"1597026383085"}]}',
}
CHANNELS = [(name, BUSINESS if name in {"trades-all", "candle1m"} else PUBLIC) for name in list(FORMS)[2:8]]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"okx": [SWAP]}, updates_per_s=0.0) as running:
        running.faults.connection_allowance("okx", 1000)
        yield running


def wrong(found: str, form: str) -> list[str]:
    return differences(parse(found), parse(FORMS[form]))


@pytest.mark.parametrize(("channel", "path"), CHANNELS)
def test_messages(simulator: Simulator, connect: type[Client], channel: str, path: str) -> None:
    with connect(simulator, path) as client:
        client.send(id="7", op="subscribe", args=[{"channel": channel, "instId": "BTC-USDT-SWAP"}])
        assert wrong(client.receive_text(), "ack") == []
        simulator.publish(60, SWAP)
        texts = [client.receive_text() for _ in range(5)]
    assert [wrong(text, channel) for text in texts] == [[]] * 5


def test_errors(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, PUBLIC) as client:
        client.send_text('{"id":"1512","op":"subscribe","argss":[{"channel":"books","instId":"BTC-USDT"}]}')
        text = client.receive_text()
    assert wrong(text, "error") == []
    answer: Any = parse(text)
    assert (answer["code"], answer["msg"][:25]) == ("60012", 'Invalid request: {"id":"1')


@pytest.mark.parametrize(
    ("form", "query"),
    [
        ("market/books", "?instId=BTC-USDT-SWAP&sz=5"),
        ("market/candles", "?instId=BTC-USDT-SWAP"),
        ("public/time", ""),
    ],
)
def test_rest_answers(simulator: Simulator, connect: type[Client], form: str, query: str) -> None:
    with connect(simulator, PUBLIC) as client:
        status, _, body = client.get(f"/api/v5/{form}{query}")
    assert status == 200
    assert wrong(body, form) == []
