"""Define the command `dashboard`."""

import signal
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated

import typer

from collector.cli.options import (
    DEFAULT_DATABASE,
    DEFAULT_TABLE,
    ConfigFile,
    DatabaseUrl,
    Seconds,
    TableName,
    configured,
)
from collector.cli.table import print_text

STOPPING = (signal.SIGINT, signal.SIGTERM)


def dashboard(
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65_535, help="The port; 0: any that is free. serve.port, or 8000."),
    ] = None,
    config: ConfigFile = None,
    seconds: Seconds = None,
) -> int:
    """Show over HTTP what a database holds: nothing is collected, and nothing is written.

    Example: python run.py dashboard --db ./demo.db --port 8001

    Who may ask is said by the keys of `serve`, as for a collector that runs.
    """
    from collector.app import SignalSafeEvent  # noqa: PLC0415
    from collector.errors import UserError  # noqa: PLC0415
    from collector.log import set_up_logging  # noqa: PLC0415
    from collector.masking import mask_url  # noqa: PLC0415
    from collector.query import ShortReads  # noqa: PLC0415
    from collector.serve import server_of_database  # noqa: PLC0415

    loaded = configured(config).settings
    set_up_logging(loaded.logging, secrets=loaded.secrets())
    if port is not None:
        loaded = loaded.model_copy(update={"serve": replace(loaded.serve, port=port)})
    with ShortReads(db, table).reading():
        pass  # it can be read, or the error says why not
    server = server_of_database(loaded, db, table)
    stopping = SignalSafeEvent()
    with ExitStack() as after:
        for number in STOPPING:
            after.callback(signal.signal, number, signal.signal(number, lambda *_: stopping.ring()))
        after.callback(server.close)
        if not server.start():
            raise UserError(
                f"port {loaded.serve.port} of {loaded.serve.host} cannot be listened on; "
                "expected one that is free: --port 0 takes any"
            )
        print_text(f"{mask_url(db)} is shown at {server.url} until Ctrl-C; the API is at {server.url}/docs")
        sys.stdout.flush()
        stopping.wait(seconds)
    return 0
