"""Define the command `simulate`: exchanges on this machine, to try a collector on."""

import signal
from typing import Annotated

import typer

from collector.app.wakeup import SignalSafeEvent


def simulate(
    port: Annotated[
        int, typer.Option(help="Port to listen on, on 127.0.0.1; 0 picks a free one.", min=0, max=65535)
    ] = 8900,
    seed: Annotated[int, typer.Option(help="Seed of the markets: the same seed, the same prices.")] = 7,
    symbol: Annotated[
        list[str] | None,
        typer.Option(help="A market as EXCHANGE:SYMBOL, such as bybit:BTC/USDT:USDT. Repeatable."),
    ] = None,
    rate: Annotated[float, typer.Option(help="Updates a second of each market.", min=0)] = 50.0,
    bursts: Annotated[
        bool,
        typer.Option("--bursts", help="Vary each market's rate: bursts and quiet spells, the same mean."),
    ] = False,
    replay: Annotated[
        list[str] | None,
        typer.Option(help="A recording to play in a market's place, as EXCHANGE:SYMBOL=FILE. Repeatable."),
    ] = None,
    speed: Annotated[
        float, typer.Option(help="How many times as fast as recorded to play; 0 is flat out.", min=0)
    ] = 1.0,
    seconds: Annotated[
        float | None, typer.Option(help="Stop by itself after so many seconds.", min=0)
    ] = None,
) -> None:
    """Serve simulated exchanges on one local port until Ctrl-C.

    Example: python run.py simulate --port 8900 --symbol bybit:BTC/USDT:USDT --rate 20
    """
    from collector.simulator import Simulator  # noqa: PLC0415  (the help must not wait for it)

    recordings = [each.partition("=") for each in replay or []]
    markets = [*(symbol or []), *(market for market, _, _ in recordings)]
    simulator = Simulator(
        port=port,
        seed=seed,
        symbols=_by_exchange(markets) if markets else None,
        updates_per_s=rate,
        bursts=bursts,
    )
    stopping = SignalSafeEvent()
    former = {
        number: signal.signal(number, lambda *_: stopping.ring())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with simulator:
            for market, _, path in recordings:
                exchange, _, name = market.partition(":")
                simulator.replay(exchange, name, path, speed)
            print(f"Simulated exchanges on 127.0.0.1:{simulator.port} (seed {seed}). To collect from them:\n")
            print("exchanges:")
            for name, symbols in simulator.symbols.items():
                endpoints = simulator.endpoints(name)
                print(f"  {name}:  # {', '.join(symbols)}")
                print(f"    endpoints: {{rest: {endpoints['rest']}, ws: {endpoints['ws']}}}")
            print(
                f"\nFaults and truth: http://127.0.0.1:{simulator.port}/_control   Ctrl-C stops.", flush=True
            )
            stopping.wait(seconds)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _by_exchange(markets: list[str]) -> dict[str, list[str]]:
    from collector.errors import UserError  # noqa: PLC0415  (the help must not wait for it)

    chosen: dict[str, list[str]] = {}
    for market in markets:
        exchange, _, symbol = market.partition(":")
        if "/" not in symbol:
            raise UserError(f"{market!r} is no market: expected EXCHANGE:SYMBOL, such as kraken:BTC/USD")
        chosen.setdefault(exchange, []).append(symbol)
    return chosen
