"""Define the command `kinesis`: streams on this machine, to try followers and `consume` on."""

import logging
import os
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.options import Seconds

if TYPE_CHECKING:
    from collector.aws import StreamAddress

PORT = 4567
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}  # any will do, but not none
CALL_S = 10.0


def kinesis(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the streams are open to who reaches it.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = PORT,
    stream: Annotated[
        list[str] | None, typer.Option(help="A stream to create; bitcoin-market-data. Repeatable.")
    ] = None,
    shards: Annotated[int, typer.Option(help="Shards of each stream.", min=1, max=100)] = 2,
    region: Annotated[str, typer.Option(help="The region that the streams are in.")] = REGION,
    seconds: Seconds = None,
) -> None:
    """Serve a Kinesis on this machine until Ctrl-C. Its streams are in memory and end with it.

    Example: python run.py kinesis --port 4567 --stream bitcoin-market-data

    It is moto's server, which the extra `local` brings.
    """
    from collector.app import SignalSafeEvent  # noqa: PLC0415  (the help must not wait for it)
    from collector.aws import DEFAULT_STREAM, KINESIS, StreamAddress  # noqa: PLC0415
    from collector.cli.running import rung_by_signals  # noqa: PLC0415
    from collector.errors import MissingExtra  # noqa: PLC0415

    try:
        from moto.server import ThreadedMotoServer  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("moto", "local") from error
    endpoint = f"http://127.0.0.1:{port}"
    urls = [f"{KINESIS}://{region}/{name}?endpoint={endpoint}" for name in stream or [DEFAULT_STREAM]]
    addresses = [StreamAddress.parse(url) for url in urls]
    refuse_taken(host, port, "--port")
    ended = SignalSafeEvent()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request, whatever it is told
    server = ThreadedMotoServer(ip_address=host, port=port, verbose=False)
    with rung_by_signals(ended):
        server.start()
        try:
            for address in addresses:
                create(address, shards)
            print(f"Kinesis on {host}:{port}, in memory, until Ctrl-C. Its streams:", flush=True)
            print(*(f"  {address}" for address in addresses), sep="\n", flush=True)
            ended.wait(seconds)
        finally:
            server.stop()


def refuse_taken(host: str, port: int, option: str) -> None:
    """Raise UserError where a port cannot be listened on."""
    from collector.errors import UserError  # noqa: PLC0415

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as those who listen there do
        try:
            listener.bind((host, port))
        except OSError as error:
            raise UserError(
                f"port {port} of {host} cannot be listened on ({error.strerror}): choose another by {option}"
            ) from error


def create(address: "StreamAddress", shards: int) -> None:
    """Create a stream, and wait until it takes records."""
    from collector.aws import make_client  # noqa: PLC0415

    os.environ.update(CREDENTIALS)
    os.environ.pop("AWS_PROFILE", None)  # the user's own account has no business here
    with closing(make_client("kinesis", address.region, address.endpoint, call_timeout_s=CALL_S)) as client:
        client.create_stream(StreamName=address.stream, ShardCount=shards)
        until_s = time.monotonic() + CALL_S
        while time.monotonic() < until_s:
            about = client.describe_stream_summary(StreamName=address.stream)["StreamDescriptionSummary"]
            if about["StreamStatus"] == "ACTIVE":
                return
            time.sleep(0.05)
