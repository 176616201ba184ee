"""Read where a stream is: `kinesis://REGION/STREAM`, for a local endpoint with `?endpoint=http://...`."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from collector.errors import UserError
from collector.masking import mask_url

KINESIS = "kinesis"
DEFAULT_STREAM = "bitcoin-market-data"
EXPECTED = "kinesis://REGION/STREAM, like kinesis://eu-central-1/bitcoin-market-data"

_REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+)*-[0-9]+")  # a new region needs no new version of this program
_STREAM = re.compile(r"[a-zA-Z0-9_.-]{1,128}")  # as the API says
_ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """A stream of one region. Credentials are no part of it: AWS' own chain finds them."""

    region: str
    stream: str
    endpoint: str | None = None  # None: AWS' own, or what AWS_ENDPOINT_URL says

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL, or raise UserError with what was expected."""
        parts = urlsplit(url)
        if parts.scheme.lower() != KINESIS:
            raise UserError(f"found {mask_url(url)!r}, expected {EXPECTED}")
        if "@" in parts.netloc:
            raise UserError(
                "found a name or password in the URL of a stream (not shown), expected none: credentials "
                "come from AWS_PROFILE, AWS_ACCESS_KEY_ID, a role, or what else AWS' tools look for"
            )
        asked = parse_qsl(parts.query, keep_blank_values=True)
        for name, _ in asked:
            if name != _ENDPOINT:
                raise UserError(f"found {name!r} in the URL of a stream, expected nothing but {_ENDPOINT}")
        if not _REGION.fullmatch(parts.netloc):
            raise UserError(f"found the region {parts.netloc!r}, expected {EXPECTED}")
        stream = parts.path.strip("/") or DEFAULT_STREAM
        if not _STREAM.fullmatch(stream):
            text = "expected 1 to 128 letters, digits, and ._-"
            raise UserError(f"found the stream {stream!r}, {text}")
        return cls(parts.netloc, stream, _endpoint(dict(asked)))

    def __str__(self) -> str:
        """Return the URL in the one form that names the stream in messages, metrics and files."""
        query = "" if self.endpoint is None else f"?{urlencode({_ENDPOINT: self.endpoint}, safe=':/')}"
        return f"{KINESIS}://{self.region}/{self.stream}{query}"


def _endpoint(asked: dict[str, str]) -> str | None:
    endpoint = asked.get(_ENDPOINT)
    if endpoint is None:
        return None
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise UserError("the endpoint of a stream is not usable, expected one like http://127.0.0.1:5000")
    return endpoint.rstrip("/")
