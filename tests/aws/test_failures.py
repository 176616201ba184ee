"""What AWS answers is told apart: what to wait for, what a person mends, what is refused for good."""

import gzip
import json
from pathlib import Path

import botocore
import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from botocore.retries.standard import ThrottledRetryableChecker

from collector.aws.failures import _CODES, _LOCAL, Failure, failure_of, kind_of_code, without_credentials


def answered(code: str, message: str = "", status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutRecords")  # type: ignore[arg-type]


def test_every_error_of_the_service_has_a_meaning() -> None:
    (file,) = (Path(botocore.__file__).parent / "data" / "kinesis").glob("*/service-2.json.gz")
    shapes = json.loads(gzip.decompress(file.read_bytes()))["shapes"]
    ours = {name for name, shape in shapes.items() if shape.get("exception")}
    of_others = {"DryRunOperationException", "ExpiredIteratorException", "ExpiredNextTokenException"}
    assert ours - of_others - set(_CODES) == {"InternalFailureException"}  # like all that is not known


def test_what_the_client_s_own_retries_take_for_throttling_is_throttling() -> None:
    for code in ThrottledRetryableChecker._THROTTLED_ERROR_CODES:
        known = code not in (
            "TransactionInProgressException",
            "PriorRequestNotComplete",
            "EC2ThrottledException",
        )
        assert (kind_of_code(code) is Failure.THROTTLED) is known, code


def test_the_names_of_local_errors_are_those_of_the_client() -> None:
    assert {name for name in _LOCAL if not hasattr(exceptions, name)} == set()


def test_where_nobody_listens_the_region_may_be_wrong() -> None:
    error = failure_of(
        exceptions.EndpointConnectionError(endpoint_url="https://kinesis.eu-centrl-1.amazonaws.com/")
    )
    assert error.kind is Failure.AWAY
    assert "check the network, and the region or endpoint in the URL" in error.text


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ProvisionedThroughputExceededException", 400, Failure.THROTTLED),
        ("SomethingNew", 429, Failure.THROTTLED),
        ("InternalFailureException", 500, Failure.AWAY),
        ("SomethingNew", 500, Failure.AWAY),
        ("SomethingNew", 400, Failure.AWAY),  # waited for: nothing is given up for what is not known
        ("SomethingNew", 413, Failure.REFUSED),
        ("ResourceNotFoundException", 400, Failure.MISSING),
    ],
)
def test_code_and_status_tell_the_kind(code: str, status: int, kind: Failure) -> None:
    found = failure_of(answered(code, "a message", status))
    assert (found.kind, found.transient) == (kind, kind is not Failure.REFUSED)
    assert f"{code}: a message" in str(found)


def test_an_error_that_nobody_foresaw_is_an_outage() -> None:
    assert failure_of(ZeroDivisionError("division by zero")).kind is Failure.AWAY


SECRETS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjEXAMPLETOKEN")


@pytest.mark.parametrize(
    "message",
    [
        f"The request signature we calculated does not match. Credential={SECRETS[0]}/20260101 x",
        f"canonical string x-amz-security-token:{SECRETS[2]} Signature={SECRETS[1]}, ok",
        f"first line\nx-amz-security-token:{SECRETS[2]}",
        f"http://me:{SECRETS[1]}@proxy:3128 is away",
    ],
)
def test_nothing_of_a_credential_is_quoted(message: str) -> None:
    for text in (without_credentials(message), str(failure_of(answered("AccessDeniedException", message)))):
        assert not any(secret in text for secret in SECRETS)
    told = str(failure_of(answered("InvalidSignatureException", message)))
    assert told.startswith("InvalidSignatureException; the signature does not fit")
