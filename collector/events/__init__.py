"""Define what happened, as frozen values, and hand it on."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.events.batch import (
        INT_COLUMNS,
        KNOWN_LEVELS,
        RECEIVED,
        SEGMENT,
        STREAM,
        UNKNOWN,
        Batch,
        Counts,
        Liveness,
        SegmentClosed,
        SegmentOpened,
        StreamKey,
        Tally,
        Witnessed,
    )
    from collector.events.bus import MOST_WAITING, EventBus, Subscription
    from collector.events.channel import BBO, BOOK, FAMILIES, OHLCV, TRADE, Channel
    from collector.events.columns import (
        CANDLE_INTEGERS,
        CANDLE_NUMBERS,
        FILLED,
        INT64_MAX,
        NO_INT,
        NO_NUMBER,
        REST,
        STREAM_COLUMN,
        TRADE_INTEGERS,
        TRADE_KINDS,
        TRADE_NUMBERS,
        CandleColumns,
        TradeColumns,
    )
    from collector.events.contracts import ContractSize, contract_size
    from collector.events.coroutines import Coroutines, Loop, is_async, running_loop
    from collector.events.hold import Hold
    from collector.events.instants import iso_text, iso_texts
    from collector.events.intervals import UNIT_MS, length_s, longest_ms, shortest_ms
    from collector.events.market import TOTAL_LEVELS, Candle, L2Update, Trade
    from collector.events.market_lists import (
        MarketChoice,
        MarketRepeated,
        MarketsChosen,
        MarketsFound,
        MarketsNotRefreshed,
        UniverseChanged,
        UniverseNotRanked,
    )
    from collector.events.messages import (
        Ack,
        CandleMessage,
        Delta,
        Heartbeat,
        HeldLevels,
        Levels,
        MarketData,
        Message,
        NextLevels,
        Other,
        ReadNext,
        Side,
        Snapshot,
        Status,
        Texts,
        TopOfBook,
        TradeMessage,
    )
    from collector.events.notices import (
        BookNow,
        BookVerified,
        ChoreState,
        ClockStep,
        DatabaseState,
        FirstContact,
        Notice,
        PotentialHalt,
        Reconnecting,
        RequestRefused,
        RequestsPaused,
        RequestsWait,
        SegmentChanged,
        SnapshotFailed,
        State,
        StreamNow,
        StreamVerified,
        SystemState,
        WitnessDisagreed,
    )
    from collector.events.numbers import (
        MAX_PRICE,
        MAX_SIZE,
        check_best,
        check_positive,
        check_whole,
        impossible_level,
    )
    from collector.events.settled import (
        HELD,
        SAMPLED_OUT,
        STORED,
        Columns,
        Fates,
        Integers,
        Settled,
        Value,
        loads,
    )
    from collector.events.subscriber import Delivery, HandlerFailure, HandlerLate, handler_here, in_a_handler
else:
    __getattr__, __dir__ = face(__name__, __file__)
