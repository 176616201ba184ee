"""What a refusal means, when it is asked again, and what is told of it."""

import sys
from pathlib import Path

import pytest

from collector.exchanges.registry import EXCHANGES
from collector.live.put_off import MOST_UNKNOWN_TRIES, PutOff
from collector.live.refusals import Meaning, RefusedStreams, meaning_of

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from connection_rig import FullBackoff, SubscriptionsRig

ALREADY, PASSING, PERMANENT, UNKNOWN = Meaning


@pytest.mark.parametrize(
    ("exchange", "words", "meaning"),
    [
        ("bybit", "system busy, please try again later", PASSING),
        ("bybit", "Too many visits. Exceeded the API Rate Limit.", PASSING),
        ("bybit", "error:handler not found,topic:orderbook.50.NOPEUSDT", PERMANENT),
        ("bybit", "error:handler not found,topic:orderbook.50.BUSYUSDT", PERMANENT),
        ("bybit", "Invalid symbol :[orderbook.50.NOPEUSDT]", PERMANENT),
        ("bybit", "error:already subscribed,topic:publicTrade.BTCUSDT", ALREADY),
        ("kraken", "Exceeded msg rate", PASSING),
        ("kraken", "EService:Unavailable", PASSING),
        ("kraken", "EGeneral:Internal error[:17]", PASSING),
        ("kraken", "Already subscribed", ALREADY),
        ("kraken", "Already subscribed to one ohlc interval on this symbol", PERMANENT),
        ("kraken", "Currency pair not supported XX/YY", PERMANENT),
        ("kraken", "Subscription depth not supported", PERMANENT),
        ("kraken", "Subscription ohlc interval not supported", PERMANENT),
        ("binance", "-1008 Server is currently overloaded with other requests.", PASSING),
        ("binance", "-1000 An unknown error occured while processing the request.", PASSING),
        ("binance", "-1007 Timeout waiting for response from backend server.", PASSING),
        ("binance", "-1121 Invalid symbol.", PERMANENT),
        ("binance", "2 Invalid request: invalid stream", PERMANENT),
        ("binance", "503 Service unavailable", PASSING),
        ("okx", "50026 System error. Try again later.", PASSING),
        ("okx", "50013 Systems are busy.", PASSING),
        ("okx", "60014 Requests too frequent", PASSING),
        ("okx", "60018 Wrong URL or channel:books,instId:XX-YY doesn't exist.", PERMANENT),
        ("okx", "64000 Subscription parameter uly is unavailable anymore", PERMANENT),
        *((name, "The moon is full", UNKNOWN) for name in EXCHANGES),
        *((name, "", UNKNOWN) for name in EXCHANGES),
    ],
)
def test_the_words_of_an_exchange_are_read(exchange: str, words: str, meaning: Meaning) -> None:
    assert meaning_of(words, EXCHANGES[exchange].refusals) is meaning


@pytest.mark.parametrize("name", EXCHANGES)
def test_no_exchange_writes_its_words_so_that_they_never_match(name: str) -> None:
    own = EXCHANGES[name].refusals
    words = [*own.already, *own.passing, *own.permanent]
    assert words
    assert [one for one in words if one != one.casefold()] == []
    assert len(words) == len(set(words))


def test_topics_refused_together_are_asked_for_together_each_time_later() -> None:
    put_off = PutOff(FullBackoff(1.0, 60.0), 600.0, alarm_after=4)
    now_s = 100.0
    for wait_s, tell in ((1.0, False), (2.0, False), (4.0, False), (8.0, True), (16.0, True)):
        assert put_off.put_off(["a", "b"], PASSING, now_s) == (wait_s, tell)
        assert put_off.waits("a")
        assert put_off.take_due(now_s + wait_s - 0.01) == []
        now_s += wait_s
        assert put_off.take_due(now_s) == ["a", "b"]
        assert put_off.take_due(now_s + 100.0) == []  # asked for, the answer is awaited
        assert not put_off.waits("a")
    put_off.forget("a")
    assert put_off.put_off(["a"], PASSING, now_s) == (1.0, False)
    assert put_off.put_off(["b"], PASSING, now_s) == (32.0, True)


def test_unknown_words_are_asked_again_some_times_and_then_slowly_for_ever() -> None:
    put_off = PutOff(FullBackoff(1.0, 60.0), 600.0, alarm_after=100)
    waits = [put_off.put_off(["a"], UNKNOWN, 0.0) for _ in range(MOST_UNKNOWN_TRIES + 3)]
    assert waits == [*((2.0**n, False) for n in range(MOST_UNKNOWN_TRIES)), *[(600.0, True)] * 3]


def test_what_is_refused_is_told_once_until_it_is_collected() -> None:
    rig, refused = SubscriptionsRig(), RefusedStreams()
    stream, other = rig.trades("BTC/USDT"), rig.trades("ETH/USDT")
    assert refused.tell(stream, "no")
    assert not refused.tell(stream, "not yet")
    assert refused.tell(other, "no")
    assert refused.words == [
        "binance: BTC/USDT trade refused: not yet",
        "binance: ETH/USDT trade refused: no",
    ]
    refused.give_up(stream)
    refused.give_up(other)
    assert refused.take_given_up([other.key]) == [stream]  # the other is collected elsewhere
    assert refused.take_given_up([]) == []
    refused.accepted(stream.key)
    assert refused.tell(stream, "no")
    refused.give_up(other)
    refused.forget({"ETH/USDT"})
    assert refused.words == ["binance: BTC/USDT trade refused: no"]
    assert refused.take_given_up([]) == []
