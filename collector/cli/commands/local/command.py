"""Define the command `local`: simulated exchanges, a database, Kinesis and the dashboard, on this machine."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.commands.kinesis import CREDENTIALS, PORT, REGION, refuse_taken
from collector.cli.options import ConfiguredDatabase, Plain, Seconds

if TYPE_CHECKING:
    from collector.cli.commands.local.children import Child
    from collector.settings import Settings
    from collector.simulator import Simulator

CONFIG = Path("config/local.yaml")
FOLDER = Path("local")  # for what is not the database: logs, PostgreSQL
CONSUMED = "./consumed.db"
READY_WITHIN_S = 60.0
LAST_READ_S = 60.0


def local(
    *,
    config: Annotated[
        Path, typer.Option("--config", "-c", help="A YAML file whose exchanges are at one local port.")
    ] = CONFIG,
    db: ConfiguredDatabase = None,
    postgres: Annotated[
        bool, typer.Option("--postgres", help="Into a PostgreSQL of its own, in ./local/postgres.")
    ] = False,
    consume: Annotated[
        bool, typer.Option("--consume", help="Read the stream back, too, into ./consumed.db.")
    ] = False,
    kinesis_port: Annotated[int, typer.Option(help="Port of Kinesis.", min=1, max=65535)] = PORT,
    seconds: Seconds = None,
    plain: Plain = False,
) -> int:
    """Run everything on this machine until Ctrl-C: exchanges, database, Kinesis, collector, dashboard.

    Exchanges are simulated, Kinesis is moto's (extra `local`), in memory. No network, no account.

    Example: python run.py local --consume --seconds 60
    """
    from collector.aws import DEFAULT_STREAM  # noqa: PLC0415  (the help must not wait for it)
    from collector.cli.commands.local.children import Child  # noqa: PLC0415
    from collector.cli.running import interrupt_raises  # noqa: PLC0415
    from collector.errors import UserError  # noqa: PLC0415
    from collector.log import set_up_logging  # noqa: PLC0415
    from collector.settings import load_settings  # noqa: PLC0415

    if postgres and db is not None:
        raise UserError("--postgres and --db exclude each other: choose one")
    url = f"kinesis://{REGION}/{DEFAULT_STREAM}?endpoint=http://127.0.0.1:{kinesis_port}"
    overrides: dict[str, object] = {"followers": [url]}
    # A region's real credentials have no business here, and the follower is of this process.
    os.environ.update(CREDENTIALS)
    os.environ.pop("AWS_PROFILE", None)
    with interrupt_raises(), ExitStack() as running:
        if postgres:
            overrides |= {
                "database.url": running.enter_context(own_postgres()),
                "database.auto_migrate": True,
            }
        elif db is not None:
            overrides |= {"database.url": db, "database.auto_migrate": True}
        settings = load_settings(config, overrides=overrides)
        set_up_logging(settings.logging, secrets=settings.secrets())
        if settings.serve.port:
            refuse_taken(settings.serve.host, settings.serve.port, "COLLECTOR_SERVE__PORT")
        refuse_taken("127.0.0.1", kinesis_port, "--kinesis-port")
        running.enter_context(exchanges_of(settings, config))
        names = dict.fromkeys([DEFAULT_STREAM, *heartbeat_streams(settings)])
        named = [word for name in names for word in ("--stream", name)]
        stream = Child(["kinesis", "--port", str(kinesis_port), *named], FOLDER / "kinesis.log")
        running.enter_context(stream)
        wait_until_ready(stream)
        letters = str(FOLDER / "consume-dead-letters.jsonl")
        reading = ["consume", url, "--db", CONSUMED, "--dead-letters", letters, "--plain"]
        reader = running.enter_context(Child(reading, FOLDER / "consume.log")) if consume else None
        print(what_runs(settings, url, consumed=consume), file=sys.stderr, flush=True)
        code = collect(settings, seconds, plain=plain)
        if reader is not None:
            code = read_the_rest(reader, reading) or code
        stream.fail_if_ended()
    print(what_is_left(settings, postgres=postgres, consumed=consume))
    return code


@contextmanager
def own_postgres() -> Iterator[str]:
    """Run PostgreSQL; its own word on how it starts goes nowhere."""
    from collector.cli.commands.local.postgres import postgres  # noqa: PLC0415

    with postgres(FOLDER / "postgres") as url:
        yield url


def exchanges_of(settings: "Settings", config: Path) -> "Simulator":
    """Return the simulated exchanges at the port that the configuration names, not started."""
    from urllib.parse import urlsplit  # noqa: PLC0415

    from collector.errors import UserError  # noqa: PLC0415
    from collector.simulator import Simulator  # noqa: PLC0415

    urls = {url for one in settings.exchanges.values() for url in (one.endpoints.rest, one.endpoints.ws)}
    places = {None if url is None else (urlsplit(url).hostname, urlsplit(url).port) for url in urls}
    place = places.pop() if len(places) == 1 else None
    if place is None or place[0] not in ("127.0.0.1", "localhost") or place[1] is None:
        raise UserError(
            f"{config}: the exchanges are to be simulated, expected endpoints of all of them at one port of "
            "127.0.0.1, like {rest: http://127.0.0.1:8900, ws: ws://127.0.0.1:8900}"
        )
    bare = [name for name, one in settings.exchanges.items() if not one.symbols]
    if bare:  # nobody knows which markets to simulate
        raise UserError(f"{config}: exchanges.{bare[0]} names no symbols, expected the markets to simulate")
    symbols = {name: one.symbols for name, one in settings.exchanges.items()}
    return Simulator(port=place[1], symbols=symbols, profile="lively")


def heartbeat_streams(settings: "Settings") -> list[str]:
    """Return the streams that the followers' heartbeats go to."""
    return [one.heartbeat.stream for one in settings.followers if one.heartbeat is not None]


def wait_until_ready(stream: "Child") -> None:
    """Wait until Kinesis has its streams; raise UserError where it ends before."""
    from collector.errors import UserError  # noqa: PLC0415

    until_s = time.monotonic() + READY_WITHIN_S
    while "Its streams:" not in stream.said():
        stream.fail_if_ended()
        if time.monotonic() > until_s:
            raise UserError(f"Kinesis did not begin within {READY_WITHIN_S:g} s: see {stream.log}")
        time.sleep(0.05)


def collect(settings: "Settings", seconds: float | None, *, plain: bool) -> int:
    """Collect in the foreground until Ctrl-C; return the exit code."""
    from collector.app import make_collector  # noqa: PLC0415
    from collector.cli.running import run_in_foreground, screen_for  # noqa: PLC0415
    from collector.serve import server_of  # noqa: PLC0415

    screen = screen_for(settings.logging, wanted=not plain)
    collector = make_collector(settings)
    server = server_of(settings, collector, by_default=True)
    return run_in_foreground(collector, seconds, screen=screen, server=server)


def read_the_rest(reader: "Child", words: list[str]) -> int:
    """End the reader, and read what it has not: then both databases have the same rows."""
    from collector.cli.commands.local.children import Child  # noqa: PLC0415

    code, told = reader.stop(), reader.said()
    if code == 0:
        with Child([*words, "--once"], reader.log.with_name("consume-rest.log")) as rest:
            code = rest.wait(LAST_READ_S)
            told, reader = f"{last_line(told)}; after the end of collecting {last_line(rest.said())}", rest
    print(f"consumer {last_line(told)}" if code == 0 else f"consume: {code}, see {reader.log}")
    return code


def last_line(text: str) -> str:
    """Return the last line of a program's output."""
    return text.strip().splitlines()[-1]


def what_runs(settings: "Settings", url: str, *, consumed: bool) -> str:
    """Return where to look, and with which words."""
    serve, shown = settings.serve, settings.masked()["database"]["url"]
    names = "; ".join(f"{name} {', '.join(one.symbols)}" for name, one in settings.exchanges.items())
    keys = " ".join(f"{name}={value}" for name, value in CREDENTIALS.items())
    dashboard = f"http://{serve.host}:{serve.port}/" if serve.port else "see serve.listening below"
    lines = [
        f"Collecting {names}, all simulated, until Ctrl-C.",
        f"  dashboard  {dashboard}",
        f"  database   {shown}",
        f"             python run.py tail book --db {quote(shown)}",
        f"  stream     {url}",
    ]
    if consumed:
        lines += [f"  consumed   {CONSUMED}", f"             python run.py coverage --db {CONSUMED}"]
    else:
        lines.append(f"             {keys} python run.py consume '{url}' --db {CONSUMED}")
    return "\n".join([*lines, f"  logs       {FOLDER}/"])


def what_is_left(settings: "Settings", *, postgres: bool, consumed: bool) -> str:
    """Return where the data is, and what to do with it."""
    shown = settings.masked()["database"]["url"]
    place = f"./{FOLDER}/postgres, for the next `local --postgres`" if postgres else shown
    databases = [*([] if postgres else [shown]), *([CONSUMED] if consumed else [])]
    words = [f"  python run.py verify --db {quote(one)}" for one in databases]
    said = f"\nThe data is in {place}; the stream was in memory and is gone."
    return "\n".join([f"{said} Try:" if words else said, *words])
