"""Make clients: the standard chain finds credentials and endpoint, and nothing is tried again unseen."""

import os
from functools import cache
from typing import Any

from collector.errors import MissingExtra, UserError

EXTRA = "aws"
CONNECT_S = 5.0  # at most, for each address of a name
SHARE_OF_A_CALL = 0.4  # of the time for a call: its end is seen before it is broken off


def check_installed() -> None:
    """Raise MissingExtra where the packages for AWS are not installed."""
    try:
        import boto3  # noqa: F401, PLC0415  (costs what it imports)
    except ImportError as error:
        raise MissingExtra("boto3", EXTRA) from error


def region_named(region: str | None, key: str) -> str:
    """Return the region, or that of AWS' own settings; raises UserError, naming the key, without any."""
    check_installed()
    import boto3.session  # noqa: PLC0415  (costs what it imports)

    # boto3 reads AWS_DEFAULT_REGION and the profile; containers and AWS' other tools have AWS_REGION.
    found = region or os.environ.get("AWS_REGION") or boto3.session.Session().region_name
    if not found:
        raise UserError(f"{key}: no region is named, expected one there, in AWS_REGION or in the profile")
    return str(found)


@cache
def _loader() -> Any:
    """Return what reads the descriptions of the services: each once, and no more for the next client."""
    from botocore.loaders import create_loader  # noqa: PLC0415

    return create_loader()


def make_client(service: str, region: str, endpoint: str | None, *, call_timeout_s: float) -> Any:
    """Return a client of a service. Raises UserError with what prevents it. Asks nobody anything yet.

    Its retries are off: whoever calls decides whether and when to try again, counts it, and tells of it.
    """
    check_installed()
    import botocore.session  # noqa: PLC0415  (costs what it imports)
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    config = Config(
        connect_timeout=min(CONNECT_S, call_timeout_s * SHARE_OF_A_CALL),
        read_timeout=call_timeout_s * SHARE_OF_A_CALL,
        retries={"total_max_attempts": 1},
        tcp_keepalive=True,
    )
    try:
        session = botocore.session.Session()  # a new one: credentials are looked for anew
        session.register_component("data_loader", _loader())
        return session.create_client(service, region_name=region, endpoint_url=endpoint, config=config)
    except (BotoCoreError, ValueError) as error:  # a profile that there is not, an endpoint that is no URL
        from collector.aws.failures import failure_of  # noqa: PLC0415

        raise UserError(f"AWS: {failure_of(error).text}") from error
