"""Read how many decimals Kraken's pairs have. https://docs.kraken.com/api/docs/websocket-v2/instrument."""

from typing import NamedTuple

import msgspec

from collector.errors import FrameError


class Precision(NamedTuple):
    """Decimals of a pair's prices and sizes. The exchange changes them now and then."""

    price: int
    size: int


class _Pair(msgspec.Struct, gc=False):
    symbol: str
    price_precision: int
    qty_precision: int


class _Data(msgspec.Struct, gc=False):
    pairs: list[_Pair] = msgspec.field(default_factory=list)


class _Instruments(msgspec.Struct, gc=False, tag_field="channel", tag="instrument"):
    data: _Data


_decoder = msgspec.json.Decoder(_Instruments)


def read_instruments(text: str) -> dict[str, Precision]:
    """Read a frame of the `instrument` channel: pairs by Kraken's own names of them."""
    try:
        pairs = _decoder.decode(text).data.pairs
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error
    return {pair.symbol: Precision(pair.price_precision, pair.qty_precision) for pair in pairs}
