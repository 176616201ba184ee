"""The URL of a stream: what it means, and what is refused without showing a secret."""

import pytest

from collector.aws.address import StreamAddress
from collector.errors import UserError

LOCAL = "kinesis://eu-central-1/market?endpoint=http://127.0.0.1:5000"


@pytest.mark.parametrize(
    ("url", "found", "text"),
    [
        ("kinesis://eu-central-1/market", ("eu-central-1", "market", None), "kinesis://eu-central-1/market"),
        (
            "KINESIS://us-gov-west-1/a_b.c-1/",
            ("us-gov-west-1", "a_b.c-1", None),
            "kinesis://us-gov-west-1/a_b.c-1",
        ),
        (
            "kinesis://eu-central-1",
            ("eu-central-1", "bitcoin-market-data", None),
            "kinesis://eu-central-1/bitcoin-market-data",
        ),
        (LOCAL, ("eu-central-1", "market", "http://127.0.0.1:5000"), LOCAL),
        (
            "kinesis://eu-central-1/market?endpoint=http%3A%2F%2F127.0.0.1%3A5000/",
            ("eu-central-1", "market", "http://127.0.0.1:5000"),
            LOCAL,
        ),
    ],
)
def test_a_url_names_region_stream_and_endpoint(
    url: str, found: tuple[str, str, str | None], text: str
) -> None:
    address = StreamAddress.parse(url)
    assert (address.region, address.stream, address.endpoint) == found
    assert str(address) == text
    assert StreamAddress.parse(text) == address


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqs://eu-central-1/market", "expected kinesis://REGION/STREAM"),
        ("kinesis:///market", "found the region ''"),
        ("kinesis://Frankfurt/market", "found the region 'Frankfurt'"),
        ("kinesis://bitcoin-market-data", "found the region 'bitcoin-market-data'"),
        ("kinesis://eu-central-1/a/b", "found the stream 'a/b', expected 1 to 128 letters"),
        ("kinesis://eu-central-1/m?endpoint=here", "the endpoint of a stream is not usable"),
        (
            "kinesis://eu-central-1/m?endpoint=http://me:hidden-word@h",
            "the endpoint of a stream is not usable",
        ),
        (
            "kinesis://eu-central-1/m?aws_secret_access_key=hidden-word",
            "found 'aws_secret_access_key' in the URL",
        ),
        (
            "kinesis://AKIAX:hidden-word@eu-central-1/m",
            "name or password in the URL .* credentials come from",
        ),
    ],
)
def test_another_one_is_refused(url: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        StreamAddress.parse(url)
    assert "hidden-word" not in str(caught.value)
