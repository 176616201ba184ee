"""What the configuration asked for and the database has nothing of."""

import json

from collector.events.batch import StreamKey
from collector.query.missing_streams import _absent

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def test_each_channel_of_each_market_is_looked_for_by_itself() -> None:
    asked = {"symbols": [BTC, "ETHUSDT"], "channels": ["book.50", "trade"], "market": "linear"}
    wanted = json.dumps({"bybit": asked, "of a later version": asked})
    had = [StreamKey("bybit", *key) for key in ((BTC, "book.50"), (BTC, "trade"), (ETH, "book.50"))]
    elsewhere = [StreamKey("binance", ETH, "trade")]
    assert list(_absent(wanted, had + elsewhere)) == [StreamKey("bybit", "ETHUSDT", "trade")]
    assert list(_absent(wanted, [])) == [
        StreamKey("bybit", symbol, channel) for symbol in (BTC, "ETHUSDT") for channel in ("book.50", "trade")
    ]
