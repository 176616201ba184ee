"""Define the command `simulate`: exchanges on this machine, to try a collector on."""

import random
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from collector.app import SignalSafeEvent

if TYPE_CHECKING:
    from collector.simulator import Outage


def simulate(
    port: Annotated[
        int, typer.Option(help="Port to listen on, on 127.0.0.1; 0 picks a free one.", min=0, max=65535)
    ] = 8900,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of the markets and faults: the same seed, the same prices. 7; drawn with --nasty."
        ),
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option(help="A market as EXCHANGE:SYMBOL, such as bybit:BTC/USDT:USDT. Repeatable."),
    ] = None,
    rate: Annotated[float, typer.Option(help="Updates a second of each market.", min=0)] = 50.0,
    steady: Annotated[
        bool,
        typer.Option("--steady", help="An ideal market instead: an even pace, no distance, for benchmarks."),
    ] = False,
    nasty: Annotated[
        bool,
        typer.Option("--nasty", help="Every fault that there is, at times that depend on the seed alone."),
    ] = False,
    bursts: Annotated[
        bool,
        typer.Option("--bursts", help="With --steady: bursts and quiet spells, the same mean rate."),
    ] = False,
    send_log: Annotated[
        Path | None,
        typer.Option(help="A file for what is really put on each socket, as JSON lines."),
    ] = None,
    replay: Annotated[
        list[str] | None,
        typer.Option(help="A recording to play in a market's place, as EXCHANGE:SYMBOL=FILE. Repeatable."),
    ] = None,
    speed: Annotated[
        float, typer.Option(help="How many times as fast as recorded to play; 0 is flat out.", min=0)
    ] = 1.0,
    history_days: Annotated[
        float, typer.Option(help="How many days of trades and bars lie before the start.", min=0.001)
    ] = 2.0,
    outage: Annotated[
        list[str] | None,
        typer.Option(
            help="Whole minutes of that past without trades, as EXCHANGE=START/END in UTC, such as "
            "binance=2026-06-28T02:00/2026-06-28T05:30. Repeatable."
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Stop by itself after so many seconds.", min=0)
    ] = None,
) -> None:
    """Serve simulated exchanges on one local port until Ctrl-C.

    Their markets are lively: bursts and silences, distance, clocks that are a little off.

    Example: python run.py simulate --port 8900 --symbol bybit:BTC/USDT:USDT --rate 20
    """
    from collector.errors import UserError  # noqa: PLC0415  (the help must not wait for it)
    from collector.simulator import Simulator  # noqa: PLC0415

    if steady and nasty:
        raise UserError("--steady and --nasty exclude each other: choose one")
    if bursts and not steady:
        raise UserError("--bursts goes with --steady: a lively market has bursts anyway")
    if seed is None:
        seed = random.SystemRandom().randrange(1_000_000) if nasty else 7
    recordings = [each.partition("=") for each in replay or []]
    markets = [*(symbol or []), *(market for market, _, _ in recordings)]
    simulator = Simulator(
        port=port,
        seed=seed,
        symbols=_by_exchange(markets) if markets else None,
        updates_per_s=rate,
        profile="nasty" if nasty else "steady" if steady else "lively",
        bursts=bursts,
        send_log=send_log,
        history_days=history_days,
        outages=[_outage(each) for each in outage or []],
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
            if nasty:
                print(
                    f"\nNasty market, seed {seed}: --nasty --seed {seed} brings the same faults again;"
                    f"\nthe faults to come: http://127.0.0.1:{simulator.port}/_control/schedule?seconds=600"
                )
            print(
                f"\nFaults and truth: http://127.0.0.1:{simulator.port}/_control   Ctrl-C stops.", flush=True
            )
            stopping.wait(seconds)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _outage(text: str) -> "Outage":
    from collector.errors import UserError  # noqa: PLC0415  (the help must not wait for it)
    from collector.simulator import Outage  # noqa: PLC0415

    exchange, _, times = text.partition("=")
    try:
        start, end = (datetime.fromisoformat(time).replace(tzinfo=UTC) for time in times.split("/"))
    except ValueError:
        wanted = "EXCHANGE=START/END, such as binance=2026-06-28T02:00/2026-06-28T05:30"
        raise UserError(f"{text!r} is no outage: expected {wanted}") from None
    return Outage(exchange, int(start.timestamp() * 1000), int(end.timestamp() * 1000))


def _by_exchange(markets: list[str]) -> dict[str, list[str]]:
    from collector.errors import UserError  # noqa: PLC0415  (the help must not wait for it)

    chosen: dict[str, list[str]] = {}
    for market in markets:
        exchange, _, symbol = market.partition(":")
        if "/" not in symbol:
            raise UserError(f"{market!r} is no market: expected EXCHANGE:SYMBOL, such as kraken:BTC/USD")
        chosen.setdefault(exchange, []).append(symbol)
    return chosen
