"""Turn frames into rows, segments, counts and events."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.streams.book_stream import WITNESS, BookStream
    from collector.streams.candle_stream import CandleStream
    from collector.streams.maker import StreamMaker
    from collector.streams.paired_stream import PairedStream
    from collector.streams.plausible import candle_problem, trade_problem
    from collector.streams.router import Router, UnknownFrames
    from collector.streams.stream import LEFT_UNIVERSE, RETIRED, Outlet, Stream
else:
    __getattr__, __dir__ = face(__name__, __file__)
