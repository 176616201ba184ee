"""What ccxt uses only in case is imported when it is used, and then does what it always does."""

import subprocess
import sys

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SIGN = """
key = sys.argv[1]
made = {
    "rsa": ccxt.Exchange.rsa("a request", key),
    "jwt": ccxt.Exchange.jwt({"a": 1}, key.encode(), "sha256", True),
    "eddsa": ccxt.Exchange.eddsa(b"a request", b"x" * 32),
    **{curve: ccxt.Exchange.ecdsa("ab" * 32, "11" * 32, curve) for curve in ("p256", "p384", "p521")},
    "public": ccxt.Exchange.secp256k1_uncompressed_public_key(b"1" * 32).hex(),
}
assert ccxt.Exchange.rsa("a request", key, "sha512", "pss")
response = requests.Response()
response._content = ("Fünf Übungen über größere Brücken. " * 20).encode("cp1252")
print(made, response.apparent_encoding)
"""
PLAIN = (
    """
import importlib.util, sys
ccxt = importlib.util.module_from_spec(importlib.util.find_spec("ccxt"))
sys.modules["ccxt"] = ccxt  # without running it, which imports all exchanges; what signs is as it is
import ccxt.base.exchange, requests
ccxt.Exchange = ccxt.base.exchange.Exchange
"""
    + SIGN
)
IN_PARTS = (
    """
import sys
from collector.network import import_ccxt_in_parts, import_exchange

import_ccxt_in_parts()
import_exchange("bybit")
NAMES = "cryptography", "charset_normalizer"
assert not {name.partition(".")[0] for name in sys.modules}.intersection(NAMES)
import ccxt, ccxt.pro, requests
ccxt.bybit()
ccxt.pro.bybit()
assert not {name.partition(".")[0] for name in sys.modules}.intersection(NAMES)
"""
    + SIGN
    + """
import ccxt.base.exchange as user
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
assert user.hashes is hashes and user.Encoding is Encoding  # from now on without a step between
"""
)
WITH_ONE_THERE = (
    """
import sys
import cryptography
from collector.network import import_ccxt_in_parts
import_ccxt_in_parts()
import ccxt, requests, ccxt.base.exchange as user
from cryptography.hazmat.primitives import hashes
assert user.hashes is hashes
"""
    + SIGN
)


def test_signatures_are_those_of_the_real_thing() -> None:
    key = generate_private_key(65537, 2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    told = {
        subprocess.run(
            [sys.executable, "-W", "error", "-c", program, text], capture_output=True, text=True, check=True
        ).stdout
        for program in (PLAIN, IN_PARTS, WITH_ONE_THERE)
    }
    assert len(told) == 1
    assert "eddsa" in told.pop()


TABLE_ENTRY = "ccxt.Exchange.ecdsa_prehashed_algorithms[32]"
GUESS = "from requests.compat import chardet\nassert chardet.detect(b'abc')['encoding'] == 'ascii'"
FIRST_USES = """
import sys
from collector.network import import_ccxt_in_parts
import_ccxt_in_parts()
import ccxt, ccxt.base.exchange as user
{}
"""


def test_whatever_is_used_first_is_real() -> None:
    """What an attribute of a name has, a class that was put into a table, what requests would guess with."""
    for use in (
        "found = user.Encoding.X962\nassert found is user.Encoding.X962 and found.__class__ is user.Encoding",
        f"assert {TABLE_ENTRY}().digest_size == 32\n{GUESS}",  # requests has a stand-in of its own
    ):
        subprocess.run([sys.executable, "-W", "error", "-c", FIRST_USES.format(use)], check=True)
