"""Mask secrets in whatever is printed."""

import re
from collections.abc import Iterable

MASK = "****"
SHORTEST_SECRET = 4  # anything shorter would blot out ordinary words
_TELLING = 12  # so much of a secret's beginning is taken for the secret

_SECRET_WORDS = ("apikey", "secret", "password", "passwd", "passphrase", "privatekey", "token", "credential")
# The first colon that does not belong to `scheme://` starts the password; the last @ ends it.
_URL_PASSWORD = re.compile(r":(?!//)(?P<password>.*)@", re.DOTALL)
_QUERY_PASSWORD = re.compile(
    r"(?P<name>(?:password|(?<=[?&])[\w-]*(?:secret|token|access_?key)[\w-]*)=)(?P<password>[^&\s'\"]*)",
    re.IGNORECASE,
)


def names_a_secret(name: object) -> bool:
    """Return whether a key is named like a secret."""
    plain = re.sub(r"[^a-z]", "", str(name).lower())
    return plain == "key" or any(word in plain for word in _SECRET_WORDS)


def mask_url(url: str) -> str:
    """Return a URL with what is secret in it masked."""
    masked = _URL_PASSWORD.sub(f":{MASK}@", url)
    return _QUERY_PASSWORD.sub(rf"\g<name>{MASK}", masked)


def passwords_in(url: str) -> list[str]:
    """Return the passwords that a database URL holds."""
    found = [
        match["password"] for pattern in (_URL_PASSWORD, _QUERY_PASSWORD) for match in pattern.finditer(url)
    ]
    return [password for password in found if password]


def without(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with each of the secrets masked, in any case, and also if its end is cut off."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            for form in (secret, repr(secret)[1:-1]):
                text = _without(text, form)
    return text


def _without(text: str, secret: str) -> str:
    beginning = re.compile(re.escape(secret[:_TELLING]), re.IGNORECASE)
    kept, at = [], 0
    while match := beginning.search(text, at):
        kept += [text[at : match.start()], MASK]
        at = match.end()
        for letter in secret[_TELLING:]:
            if text[at : at + 1].lower() != letter.lower():
                break
            at += 1
    return "".join([*kept, text[at:]])
