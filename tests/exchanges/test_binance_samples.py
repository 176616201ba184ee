"""Single frames of Binance of many kinds, of several years and markets: read, or left to others."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.errors import FrameError
from collector.exchanges.binance import read_frame

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from recordings import where_recorded

# In the forms of spot, USD-M and COIN-M from 2019 on; markets and numbers are made up.
READ = {
    "Delta": [
        '{"stream":"abcusdt@depth@100ms","data":{"e":"depthUpdate","E":1622363903670,"s":"ABCUSDT","U":710,"u":726,"b":[["35743.98000000","0.00000000"]],"a":[]}}',
        '{"stream":"abcdef@depth","data":{"e":"depthUpdate","E":1554076807698,"s":"ABCDEF","U":407,"u":407,"b":[["0.00002246","1215.00000000"]],"a":[["0.00002267","0.00000000"]]}}',
        '{"stream":"abcusdt@depth@0ms","data":{"e":"depthUpdate","E":1622371244693,"T":1622371244687,"s":"ABCUSDT","U":463,"u":484,"pu":452,"b":[],"a":[["35820.31","0.001"]]}}',
        '{"stream":"abcusdt@depth@0ms","data":{"e":"depthUpdate","E":1622371244693,"T":1622371244687,"s":"ABCUSDT","U":463,"u":463,"pu":-1,"b":[],"a":[]}}',
        '{"stream":"abcusd_210625@depth@100ms","data":{"e":"depthUpdate","E":1622368000245,"T":1622368000234,"s":"ABCUSD_210625","ps":"ABCUSD","U":600,"u":606,"pu":513,"b":[["35943.8","60"]],"a":[]}}',
        '{"e":"depthUpdate","E":1622363903670,"s":"ABCUSDT","U":727,"u":729,"b":[],"a":[["99999999.00000000","90000000.00000000"]]}',
    ],
    "Trade": [
        '{"stream":"abcusdt@trade","data":{"e":"trade","E":1554076800945,"s":"ABCUSDT","t":4075,"p":"0.00426990","q":"33.82000000","b":1338,"a":1339,"T":1554076800940,"m":false,"M":true}}',
        '{"stream":"abcusdt@trade","data":{"e":"trade","E":1723161255612,"s":"ABCUSDT","t":4076,"p":"2683.80000000","q":"0.00200000","T":1723161255611,"m":true,"M":true}}',
        '{"stream":"abcusdt@trade","data":{"e":"trade","E":1574381164089,"T":1574381164086,"s":"ABCUSDT","t":109,"p":"7627.60","q":"0.044","m":false}}',
        '{"stream":"abcusdt@trade","data":{"e":"trade","E":1596034530241,"T":1596034530235,"s":"ABCUSDT","t":110,"p":"2366.55","q":"0.070","X":"INSURANCE_FUND","m":true}}',
        '{"stream":"abcusdt@trade","data":{"e":"trade","E":1618716867643,"T":1618716867639,"s":"ABCUSDT","t":111,"p":"852.722","q":"0.05","X":"ADL","m":true}}',
        '{"stream":"abcusdt@trade","data":{"e":"trade","E":1618716867643,"T":1618716867639,"s":"ABCUSDT","t":112,"p":"0","q":"0","X":"NA","m":true}}',
        '{"stream":"abcusdt@aggTrade","data":{"e":"aggTrade","E":1616176861895,"s":"ABCUSDT","a":640,"p":"58942.01000000","q":"0.00035600","f":716,"l":719,"T":1616176861893,"m":false,"M":true}}',
        '{"stream":"abcusd_perp@aggTrade","data":{"e":"aggTrade","E":1616201883458,"a":410,"s":"ABCUSD_PERP","p":"58570.1","q":"58","f":918,"l":918,"T":1616201883304,"m":true}}',
    ],
    "TopOfBook": [
        '{"stream":"abcusdt@bookTicker","data":{"u":1127,"s":"ABCUSDT","b":"8010.00000000","B":"0.14245900","a":"8012.15000000","A":"0.03120100"}}',
        '{"stream":"!bookTicker","data":{"u":1128,"s":"ABCUSDT","b":"0.00000001","B":"14000000000.00000000","a":"0.00000002","A":"0.00000001"}}',
        '{"stream":"abcusdt@bookTicker","data":{"e":"bookTicker","u":1851,"s":"ABCUSDT","b":"33134.42","B":"0.170","a":"33139.39","A":"0.380","T":1612137603568,"E":1612137603571}}',
        '{"stream":"abcusd_perp@bookTicker","data":{"u":1290,"e":"bookTicker","s":"ABCUSD_PERP","ps":"ABCUSD","b":"353.401","B":"271","a":"353.477","A":"6","T":1622505600000,"E":1622505600005}}',
    ],
    "Candle": [
        '{"stream":"abcusdt@kline_1m","data":{"e":"kline","E":1653818762502,"s":"ABCUSDT","k":{"t":1653818760000,"T":1653818819999,"s":"ABCUSDT","i":"1m","f":1384,"L":1414,"o":"29038.46000000","c":"29038.47000000","h":"29038.47000000","l":"29038.46000000","v":"0.20926000","n":31,"x":false,"q":"6076.58918320","V":"0.10436000","Q":"3030.45472920","B":"0"}}}',
        '{"stream":"abcusdt@kline_1m","data":{"e":"kline","E":1653818820002,"s":"ABCUSDT","k":{"t":1653818760000,"T":1653818819999,"s":"ABCUSDT","i":"1m","f":-1,"L":-1,"o":"2.1","c":"2.1","h":"2.1","l":"2.1","v":"0","n":0,"x":true,"q":"0","V":"0","Q":"0","B":"0"}}}',
        '{"stream":"abcusdt@kline_1M","data":{"e":"kline","E":1653819041520,"s":"ABCUSDT","k":{"t":1651363200000,"T":1654041599999,"s":"ABCUSDT","i":"1M","f":2172,"L":2301,"o":"37614.40","c":"29075.50","h":"40071.70","l":"26631.00","v":"13431981.671","n":130,"x":false,"q":"423075730671.12853","V":"6700065.176","Q":"211000435586.65000","B":"0"}}}',
    ],
    "Ack": ['{"id":1000,"result":null}', '{"error":{"code":2,"msg":"Invalid request: x"},"id":3}'],
    "Other": [
        '{"stream":"abcusdt@depth20","data":{"lastUpdateId":170,"bids":[["1782.00000000","6.48300000"]],"asks":[["1782.01000000","15.46080000"]]}}',
        '{"stream":"abcusdt@depth5","data":{"e":"depthUpdate","E":1648006221596,"T":1648006221340,"s":"ABCUSDT","U":849,"u":849,"pu":-1,"b":[],"a":[["8.4400","2"]]}}',
        '{"stream":"abcusdt@depth20@100ms","data":{"e":"depthUpdate","E":1651122265861,"T":1651122265854,"s":"ABCUSDT","U":371,"u":721,"pu":329,"b":[["2886.71","0.454"]],"a":[["2886.72","77.215"]]}}',
        '{"stream":"abcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1597536008000,"s":"ABCUSDT","p":"11857.56000000","i":"11851.86949091","r":"0.00015640","T":1597564800000}}',
        '{"stream":"!markPrice@arr","data":[{"e":"markPriceUpdate","E":1617309501002,"s":"ABCUSD_PERP","p":"59003.37984561","P":"58896.41602208","r":"0.00073684","T":1617321600000}]}',
        '{"stream":"abcusd@indexPrice@1s","data":{"e":"indexPriceUpdate","E":1592265601001,"i":"ABCUSD","p":"9429.39675000"}}',
        '{"stream":"abcusdt@ticker","data":{"e":"24hrTicker","E":1653812650349,"s":"ABCUSDT","p":"-28.23000000","P":"-1.600","b":"1792.83000000","B":"1.62740000","a":"1792.84000000","A":"20.29140000","n":717}}',
        '{"stream":"!ticker@arr","data":[{"e":"24hrTicker","E":1653812100450,"s":"ABCDEF","b":"0.06150300","B":"18.96220000","a":"0.06150400","A":"10.94010000"}]}',
        '{"stream":"abcusdt@forceOrder","data":{"e":"forceOrder","E":1584059031426,"o":{"s":"ABCUSDT","S":"BUY","o":"LIMIT","f":"IOC","q":"0.014","p":"4793.91","ap":"4706.04","X":"FILLED","l":"0.015","z":"0.014","T":1584059031421}}}',
        '{"stream":"ABCUSDT_C@TRADE_ALL","data":{"e":"trade_all","E":1616205287778,"s":"ABCUSDT_C","t":[{"t":"315","p":"4842.24","q":"0.0001","b":"461","a":"462","T":1616204382000,"s":"1","S":"ABC-210430-68000-C"}]}}',
        '{"stream":"ABCUSDT@TICKER_ALL","data":{"e":"ticker_all","E":1654388207145,"s":"ABCUSDT","c":"1.7935","p":"1.2517"}}',
        '{"symbol":"ABCUSDT","openInterest":"84617.188","time":1654336844754}',
        '{"lastUpdateId":466,"E":1654222838718,"T":1654222838710,"symbol":"ABCUSD_220624","pair":"ABCUSD","bids":[["30626.7","827"]],"asks":[["30626.8","114"]]}',
    ],
}
AGGREGATE_WITHOUT_ID = '{"stream":"abcusdt@aggTrade","data":{"e":"aggTrade","E":1568693103463,"s":"ABCUSDT","p":"10223.74","q":"0.236","f":181349,"l":181349,"T":1568693103463,"m":false}}'


def made() -> Iterator[str]:
    yield AGGREGATE_WITHOUT_ID
    for samples in READ.values():
        yield from samples


def recorded() -> Iterator[str]:
    for path in recordings.BINANCE_SAMPLES:
        yield from recordings.lines(path)


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in READ.items() for text in texts], ids=str
)
def test_a_frame_is_read_as_what_it_is(kind: str, text: str) -> None:
    assert [type(message).__name__ for message in read_frame(text)] == [kind]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param(made, {kind: len(texts) for kind, texts in READ.items()}, id="made"),
        *where_recorded(
            pytest.param(
                recorded,
                {"Delta": 13, "Trade": 12, "TopOfBook": 8, "Candle": 5, "Ack": 1, "Other": 48},
                id="recorded",
            )
        ),
    ],
)
def test_single_frames_of_many_kinds_are_read_or_left_to_others(
    samples: Callable[[], Iterator[str]], expected: dict[str, int]
) -> None:
    """One is refused: an aggregate of 2019 without its id."""
    read, refused = Counter(), []
    for text in samples():
        try:
            message = read_frame(text)[0]
        except FrameError as error:
            refused.append(str(error))
        else:
            read[type(message).__name__] += 1
    assert refused == ["malformed: Object missing required field `a`"]
    assert read == expected
