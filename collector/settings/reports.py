"""Define what is reported elsewhere on a running collector, and how often."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from collector.bounds import Expected, Seconds


def _not_of_aws(namespace: str) -> str:
    if namespace.startswith("AWS/"):
        raise ValueError("these are AWS' own")
    return namespace


Namespace = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9._/#-]{1,255}$"),
    AfterValidator(_not_of_aws),
    Expected("1 to 255 letters, digits and ._/#-, not beginning with AWS/"),
]
Region = Annotated[str, Field(pattern=r"^[a-z]{2,}(-[a-z0-9]+)+$"), Expected("a region, like eu-central-1")]
Dimension = Annotated[
    str,
    Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}=[\x21-\x7e]{1,255}$"),
    Expected("a dimension with its value, like instance=eu-1"),
]
MetricNames = Annotated[
    str, Field(pattern=r"^[a-z0-9_*]{1,255}$"), Expected("the name of a metric, `*` for anything in it")
]


Stream = Annotated[
    str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,128}$"), Expected("1 to 128 letters, digits and ._-")
]


@dataclass(frozen=True)
class CloudwatchSettings:
    """Whether and how metrics go to CloudWatch."""

    mode: Literal["put", "log"] | None = None
    namespace: Namespace = "Collector"
    every_s: Seconds = 60.0
    region: Region | None = None
    dimensions: Annotated[
        tuple[Dimension, ...], Field(max_length=4), Expected("a list of at most four, like [instance=eu-1]")
    ] = ()
    only: Annotated[
        tuple[MetricNames, ...], Expected("a list of names of metrics, like [collector_*, messages_*]")
    ] = ()
