"""Tell what a failed call of AWS means: what kind of failure it is, and what a person can do about it."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from collector.errors import CollectorError
from collector.masking import MASK, mask_url

LONGEST_QUOTE = 300


class Failure(StrEnum):
    """The kinds of failures."""

    THROTTLED = "throttled"  # more than the stream or the account may take: slower
    AWAY = "away"  # no answer, or one that blames the service
    CREDENTIALS = "credentials"  # none, expired, or not valid
    DENIED = "denied"
    MISSING = "missing"  # what is asked about does not exist
    UNUSABLE = "unusable"  # it exists, and takes nothing now
    REFUSED = "refused"  # for its content: the same again is refused again


class AwsError(CollectorError):
    """A call of AWS failed."""

    def __init__(self, kind: Failure, text: str) -> None:
        self.kind = kind
        self.text = text
        super().__init__(text)

    @property
    def transient(self) -> bool:
        """Return whether the same call can succeed later, if need be after somebody mended something."""
        return self.kind is not Failure.REFUSED


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: Failure
    advice: str = ""
    is_quoted: bool = True  # what AWS says of signatures and tokens may hold them


_THROTTLED = _Meaning(Failure.THROTTLED)
_EXPIRED = _Meaning(
    Failure.CREDENTIALS,
    "the credentials have expired; renew them (`aws sso login`, a new session token), or use a role",
    is_quoted=False,
)
_INVALID = _Meaning(
    Failure.CREDENTIALS,
    "AWS does not know these credentials; check AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    is_quoted=False,
)
_SKEWED = _Meaning(
    Failure.CREDENTIALS,
    "the signature does not fit: check AWS_SECRET_ACCESS_KEY and the clock of this machine",
    is_quoted=False,
)
_DENIED = _Meaning(
    Failure.DENIED, "the role or user lacks a right; deploy/aws/ has the policies that are needed"
)
_MISSING = _Meaning(Failure.MISSING, "create the stream, or correct region and name in the URL")
_KEY = _Meaning(Failure.UNUSABLE, "the KMS key of the stream cannot be used; see its state and its policy")
_REFUSED = _Meaning(Failure.REFUSED)
_AWAY = _Meaning(Failure.AWAY)

_CODES: dict[str, _Meaning] = {
    **dict.fromkeys(
        (
            *("ProvisionedThroughputExceededException", "ThrottlingException", "Throttling"),
            *(
                "ThrottledException",
                "RequestThrottledException",
                "RequestThrottled",
                "TooManyRequestsException",
            ),
            *("RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException", "SlowDown"),
            "KMSThrottlingException",
        ),
        _THROTTLED,
    ),
    **dict.fromkeys(
        ("ExpiredTokenException", "ExpiredToken", "RequestExpired", "TokenRefreshRequired"), _EXPIRED
    ),
    **dict.fromkeys(
        (
            *("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"),
            *("MissingAuthenticationToken", "MissingAuthenticationTokenException", "InvalidToken"),
        ),
        _INVALID,
    ),
    **dict.fromkeys(
        (
            *("InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature"),
            *("IncompleteSignatureException", "RequestTimeTooSkewed"),
        ),
        _SKEWED,
    ),
    **dict.fromkeys(
        (
            *("AccessDeniedException", "AccessDenied", "NotAuthorized", "UnauthorizedOperation"),
            *("OptInRequired", "KMSAccessDeniedException", "KMSOptInRequired"),
        ),
        _DENIED,
    ),
    **dict.fromkeys(("ResourceNotFoundException", "ResourceNotFound"), _MISSING),
    "ResourceInUseException": _Meaning(Failure.UNUSABLE, "the stream is being created, changed or deleted"),
    **dict.fromkeys(("KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException"), _KEY),
    **dict.fromkeys(
        (
            *("InvalidArgumentException", "ValidationException", "ValidationError", "SerializationException"),
            *(
                "InvalidParameterValue",
                "InvalidParameterCombination",
                "MissingParameter",
                "RequestEntityTooLarge",
            ),
        ),
        _REFUSED,
    ),
}
_STATUSES = {413: _REFUSED, 429: _THROTTLED, 503: _AWAY, 509: _THROTTLED}

# What no call of AWS got as far as to answer, by the names of botocore's exceptions.
_LOCAL: dict[str, _Meaning] = {
    "NoCredentialsError": _Meaning(
        Failure.CREDENTIALS,
        "no credentials were found; set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
        "or give the machine or container a role",
        is_quoted=False,
    ),
    "PartialCredentialsError": _INVALID,
    **dict.fromkeys(
        ("SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError", "LoginRefreshRequired"),
        _EXPIRED,
    ),
    **dict.fromkeys(
        ("CredentialRetrievalError", "NoAuthTokenError", "SSOError", "LoginError", "MetadataRetrievalError"),
        _Meaning(
            Failure.CREDENTIALS,
            "the credentials could not be fetched from where AWS_PROFILE or the role says",
            is_quoted=False,
        ),
    ),
    "EndpointConnectionError": _Meaning(
        Failure.AWAY, "check the network, and the region or endpoint in the URL"
    ),
    "ParamValidationError": _REFUSED,
    "ProfileNotFound": _Meaning(Failure.CREDENTIALS, "check AWS_PROFILE"),
}

_SECRETS = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{6,}"
    r"|(?<=Credential=)[^\s,;'\"]+|(?<=Signature=)[^\s,;'\"]+"
    r"|(?<=security-token[:=])\s*[^\s,;'\"]+",
    re.IGNORECASE,
)


def failure_of(error: Exception) -> AwsError:
    """Return what an error of a client means; one that is not known is taken for an outage."""
    if isinstance(error, AwsError):
        return error
    answer: Any = getattr(error, "response", None)
    if isinstance(answer, dict) and isinstance(answer.get("Error"), dict):
        code = str(answer["Error"].get("Code", ""))
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        meaning = _CODES.get(code) or _STATUSES.get(status, _AWAY)
        return AwsError(meaning.kind, _text(code, str(answer["Error"].get("Message", "")), meaning))
    names = [kind.__name__ for kind in type(error).__mro__]
    meaning = next((_LOCAL[name] for name in names if name in _LOCAL), _AWAY)
    return AwsError(meaning.kind, _text(names[0], str(error), meaning))


def kind_of_code(code: str) -> Failure:
    """Return what a code of AWS means where nothing else is told, as of one record of a request."""
    return _CODES.get(code, _AWAY).kind


def without_credentials(text: str) -> str:
    """Return the first line of a text that AWS or its client gives, without what looks like a credential."""
    line = mask_url(text.strip().partition("\n")[0])
    return _SECRETS.sub(MASK, line)[:LONGEST_QUOTE]


def _text(name: str, quote: str, meaning: _Meaning) -> str:
    quoted = without_credentials(quote) if meaning.is_quoted else ""
    found = f"{name}: {quoted}" if quoted else name
    return f"{found}; {meaning.advice}" if meaning.advice else found
