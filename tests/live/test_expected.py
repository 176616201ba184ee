"""What is asked for is remembered by the names in which it was asked."""

from collector.live.expected import Expected


def test_a_name_stands_for_itself_until_it_is_known_what_it_means() -> None:
    expected = Expected("bybit", ["BTCUSDT", "BTC/USDT:USDT", "GONE"], ["trade", "bbo"])
    assert [key.symbol for key in expected.keys[::2]] == ["BTCUSDT", "BTC/USDT:USDT", "GONE"]
    meant = {"BTCUSDT": "BTC/USDT:USDT", "BTC/USDT:USDT": "BTC/USDT:USDT"}
    expected.add(["BTCUSDT", "BTC/USDT:USDT", "GONE"], meant)
    assert expected.keys == [
        ("bybit", symbol, channel) for symbol in ("BTC/USDT:USDT", "GONE") for channel in ("trade", "bbo")
    ]


def test_what_is_left_is_asked_for_no_longer_under_any_of_its_names() -> None:
    expected = Expected("bybit", ["BTCUSDT"], ["trade"])
    expected.add(["btc/usdt:usdt", "ETHUSDT"], {"btc/usdt:usdt": "BTC", "ETHUSDT": "ETH"})
    expected.add(["BTCUSDT"], {"BTCUSDT": "BTC"})
    expected.remove({"BTC"})
    assert [key.symbol for key in expected.keys] == ["ETH"]
