"""Our program imports of ccxt what it needs; whoever asks for more gets all of it, and the same things."""

import subprocess
import sys

PROGRAM = """
import sys
from collector.cli.program import run

assert run(["version"]) == 0
assert "ccxt" not in sys.modules

from collector.app import make_collector
from collector.settings import load_settings

chosen = {"exchanges.kraken.symbols": ["BTC/USD"]}
make_collector(load_settings(overrides=chosen, environ={}, env_file=None))
assert {"ccxt.kraken", "ccxt.pro.kraken"} <= sys.modules.keys()  # before a connection needs it
assert "ccxt.pro.okx" not in sys.modules

import ccxt.pro

OURS = ("bybit", "binance", "binanceusdm", "binancecoinm", "kraken", "okx", "okxus")
ours = {name: getattr(ccxt.pro, name) for name in OURS}
for name, found in ours.items():
    assert (found.__module__, found.__name__) == (f"ccxt.pro.{name}", name)
    assert isinstance(getattr(ccxt.async_support, name), type)
    assert issubclass(found, ccxt.pro.Exchange)
asynchronous, synchronous = ccxt.pro.Exchange, ccxt.Exchange
lost = ccxt.NetworkError
assert issubclass(ccxt.pro.RequestTimeout, lost)
others = [name for name in sys.modules if name.startswith("ccxt.") and name.endswith((".alpaca", ".gate"))]
assert others == [], others

assert {"alpaca", "gate"} <= set(ccxt.exchanges)  # which only the whole of it can tell
assert set(ours) <= set(ccxt.pro.exchanges)
for package in (ccxt, ccxt.async_support, ccxt.pro):
    assert all(isinstance(getattr(package, name), type) for name in package.exchanges)
assert {name: getattr(ccxt.pro, name) for name in OURS} == ours
assert (ccxt.pro.Exchange, ccxt.Exchange, ccxt.NetworkError) == (asynchronous, synchronous, lost)
assert not hasattr(ccxt, "nothing_of_the_kind")
print("as ever")
"""


def test_exchanges_are_imported_as_they_are_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("as ever\n")
