"""Hold each exchange's facts, frames and integrity rule. Pure, without ccxt."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.exchanges.addresses import (
        Endpoints,
        apply_environment,
        ccxt_config,
        dialled,
        is_whole,
        rebased,
        rest_address,
        websocket,
    )
    from collector.exchanges.binance import BINANCE, read_binance_trade
    from collector.exchanges.exchange import (
        KINDS,
        Addresses,
        CredentialQuestion,
        Environment,
        Exchange,
        History,
        HttpMeaning,
        MarketKind,
        Payload,
        Rate,
        RefusalWords,
        RequestLimits,
        Rest,
        RestCheck,
        RestSnapshot,
        Told,
        Topics,
        Urls,
        Used,
        WebsocketLimits,
        kind_of,
        one_of,
    )
    from collector.exchanges.meaning import (
        DEFAULT_LEVELS,
        default_channel,
        default_markets,
        depth_problem,
        kind_meant,
        kinds_in_order,
        market_meant,
        one_kind,
    )
    from collector.exchanges.past import Bound, Page, Past, PastPages
    from collector.exchanges.registry import (
        CURRENCY_ALIASES,
        DEFAULT_EXCHANGE,
        EXCHANGES,
        PLUGINS,
        UNVERIFIED_NAMES,
        bar_intervals,
        ccxt_id_of,
        environment_problem,
        exchange_of,
        is_known,
        is_registered,
        plugin_problem,
        register_exchange,
        smallest_depth_holding,
        supported_text,
        unregister_exchange,
    )
else:
    __getattr__, __dir__ = face(__name__, __file__)
