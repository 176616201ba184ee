"""Know what settings are called in other programs of this kind, to answer with our name for them.

docs/coming-from.md holds the same table for readers.
"""

from collections.abc import Sequence
from typing import NamedTuple

SERVE_TOKEN = "COLLECTOR_SERVE__TOKEN"  # noqa: S105  (its name)

# A line each: as it is written there, ours, and what differs. Ours is a key of the configuration, a command,
# a variable of the environment, or a name of the library. `EX` is `exchanges.<exchange>`.
TABLES = """
Ingestors within a bot
  data_ingestor.exchange | exchanges | a section for each exchange
  data_ingestor.symbol | EX.symbols | a list; within a bot one name or several
  data_ingestor.book_depth | storage.levels | levels a side; the channel `book.N` says which book is asked for
  data_ingestor.orderbook_depth | storage.levels | the same
  data_ingestor.sandbox | EX.environment | `testnet`
  data_ingestor.db_path | database.url | a path of an SQLite file is a URL too
  data_ingestor.table | database.table_name
  data_ingestor.buffer_size | writer.batch_rows | rows that start a write; `buffer.max_rows` bounds memory
  data_ingestor.flush_interval | writer.interval_s | in seconds
  data_ingestor.write_interval | writer.interval_s | in seconds
  data_ingestor.batch_size | writer.batch_rows
  data_ingestor.queue_size | buffer.max_rows | what is dropped beyond it is counted
  data_ingestor.reconnect_delay | stream.backoff_base_s | the longest first wait; it doubles, with jitter
  data_ingestor.max_reconnect_attempts | stream.max_reconnect_attempts | then an alarm; tries go on
  data_ingestor.max_retries | stream.max_reconnect_attempts | then an alarm; tries go on, or see `rest_s`
  data_ingestor.max_reconnect_delay | stream.backoff_max_s
  data_ingestor.stale_timeout | stream.stale_after_s | a silent topic is asked about before it is called stale
  data_ingestor.snapshot_interval | EX.sample.interval_ms | with `mode: interval`; all updates are seen still
  trading.pairs | EX.symbols | `BTC/USDT`, `BTC/USDT:USDT`, or the exchange's `BTCUSDT`
  trading.symbols | EX.symbols
  trading.exchange | exchanges | a section for each exchange
  trading.timeframe | EX.channels | `ohlcv.1m`
  trading.timeframes | EX.channels | `[ohlcv.1m, ohlcv.1h]`
  trading.testnet | EX.environment | `testnet`
  trading.market_type | EX.market | `spot` or `linear`
Websocket clients
  websocket.max_retries | stream.max_reconnect_attempts | then an alarm; tries go on, or see `rest_s`
  websocket.max_reconnects | stream.max_reconnect_attempts | then an alarm; tries go on, or see `rest_s`
  websocket.reconnect_attempts | stream.max_reconnect_attempts | then an alarm; tries go on, or see `rest_s`
  websocket.retry_delay | stream.backoff_base_s | in seconds
  websocket.reconnect_interval | stream.backoff_base_s | in seconds
  websocket.backoff_factor | stream.backoff_base_s | the wait always doubles
  websocket.max_retry_delay | stream.backoff_max_s | in seconds
  websocket.max_backoff | stream.backoff_max_s | in seconds
  websocket.ping_interval | stream.heartbeat_s | in seconds
  websocket.ping_timeout | stream.heartbeat_s | a peer silent for two of them is gone
  websocket.heartbeat_interval | stream.heartbeat_s | in seconds
  websocket.timeout | stream.connect_timeout_s | in seconds
  websocket.open_timeout | stream.connect_timeout_s | in seconds
  websocket.close_timeout | shutdown.deadline_s | of the whole program
  websocket.subscribe_timeout | stream.subscribe_timeout_s
  websocket.url | EX.endpoints.ws | a base; what the exchange has behind it is added
  websocket.rest_url | EX.endpoints.rest | a base
  websocket.max_connections | stream.messages_a_connection | streams are spread by what is expected of them
  websocket.rate_limit | stream.requests_a_second | what the exchange allows holds as well
  websocket.streams | EX.channels
Databases
  database.path | database.url
  database.db_path | database.url
  database.dsn | database.url | with a password in `COLLECTOR_DATABASE__URL` of the environment
  database.host | database.url | one URL: `postgresql://user@host:5432/name`
  database.dbname | database.url | one URL
  database.user | database.url | one URL
  database.password | COLLECTOR_DATABASE__URL | in the environment only: the whole URL
  database.type | database.url | the URL's scheme says it
  database.pool_size | database.url | no pool: one writer with one connection, which is faster
  database.max_overflow | database.url | no pool
  database.echo | logging.level
  database.table | database.table_name
  database.batch_size | writer.batch_rows
  database.flush_interval | writer.interval_s | in seconds
  database.retention_days | retention.days | older rows go to Parquet files first, verified
  database.max_retries | breaker.failures | then it is left alone for a while; nothing is given up
  database.retry_delay | writer.retry_base_s
  database.timeout | database.call_timeout_s
  storage.path | database.url
  storage.format | retention.path | rows go to SQL; days of Parquet by `retention` or `export`
  sqlalchemy.url | database.url
  redis.host | register_sink | a sink of one's own (docs/plugins.md)
  kafka.bootstrap_servers | register_sink | a sink of one's own
  influxdb.url | register_sink | a sink of one's own
  postgres.host | database.url | one URL
Kinesis recorders
  kinesis.stream_name | followers | `kinesis://REGION/STREAM`: a follower of the database
  kinesis.stream | followers | `kinesis://REGION/STREAM`
  kinesis.region | followers | within the URL
  kinesis.endpoint_url | followers | within the URL (docs/kinesis.md)
  kinesis.partition_key | followers | always the market: its records stay in order
  kinesis.batch_size | followers | as many as one request holds: 500 records or 5 MB
  kinesis.max_retries | followers | for ever, in order; what is refused for good: `dead_letters`
  kinesis.heartbeat_stream | followers | `heartbeat: {stream: NAME, every_s: 10}` of the follower
  aws.region | metrics.cloudwatch.region | for metrics; a stream's is within its URL
  cloudwatch.namespace | metrics.cloudwatch.namespace
  cloudwatch.interval | metrics.cloudwatch.every_s | in seconds
Health, metrics and logs
  health.port | serve.port | one port for health, metrics, API and the page
  health.host | serve.host
  health.enabled | serve.enabled
  health.check_interval | health.every_s | in seconds
  health.interval | health.every_s | in seconds
  health.max_lag | health.lag_s | in seconds
  health.max_silence | health.silent_after_s | in seconds
  health.max_memory_mb | health.memory_bytes | in bytes
  health_check.port | serve.port
  metrics.port | serve.port | `/metrics` is there
  metrics.enabled | serve.enabled
  prometheus.port | serve.port | `/metrics` is there
  dashboard.port | serve.port | the page is there
  api.host | serve.host
  api.port | serve.port
  api.token | COLLECTOR_SERVE__TOKEN | in the environment only
  logging.log_level | logging.level
  logging.filename | logging.file
  logging.json | logging.format | `json`, `console` or `auto`
  logging.max_size | logging.max_bytes | in bytes
  logging.backup_count | logging.keep_files
cryptofeed, cryptostore
  log.filename | logging.file
  log.level | logging.level | in small letters
  feed.pairs | EX.symbols | `BTC-USDT` is `BTC/USDT`, `BTC-USDT-PERP` is `BTC/USDT:USDT`
  feed.l2_book | EX.channels | `book.50`
  feed.trades | EX.channels | `trade`
  feed.ticker | EX.channels | `bbo`
  feed.candles | EX.channels | `ohlcv.1m`
  feed.candle_interval | EX.channels | `ohlcv.1m`, several at once
  feed.candle_closed_only | EX.channels | each state is stored; `confirmed` says which bar is over
  feed.max_depth | storage.levels
  feed.retries | stream.max_reconnect_attempts | then an alarm; tries go on, or see `rest_s`
  feed.timeout_interval | stream.heartbeat_s | in seconds
  feed.cross_check | integrity.max_mismatches | crossed books, gaps and checksums are always looked for
  feed.checksum_validation | integrity.max_mismatches | always on
  feed.snapshots_only | EX.sample.mode | `interval`
  feed.book_interval | EX.sample.interval_ms | in ms, not in updates
  storage_interval | writer.interval_s | in seconds
freqtrade
  exchange.name | exchanges | a section of that name
  exchange.pair_whitelist | EX.symbols | no pattern: each market by name
  exchange.markets_refresh_interval | stream.markets_every_s | in seconds, not in minutes
  exchange.ccxt_config | EX.endpoints.rest | nothing of ccxt is passed through
  trading_mode | EX.market | `spot`; `futures` is `linear`
  timeframe | EX.channels | `ohlcv.5m`
  db_url | database.url
  datadir | database.url
  dry_run | python run.py demo | nothing is ever traded; simulated exchanges are there
  api_server.listen_ip_address | serve.host
  api_server.listen_port | serve.port
  api_server.jwt_secret_key | COLLECTOR_SERVE__TOKEN | in the environment only
  internals.heartbeat_interval | jobs.heartbeat_every_s | a line of the log
  logfile | logging.file
  timerange | python run.py backfill | `--start`, `--end`, `--holes`
tardis-machine
  tardis.exchange | exchanges
  tardis.symbols | EX.symbols
  tardis.data_types | EX.channels | `trade`; `book.50` for `book_change`, `bbo` for `quote`
  tardis.timeout_interval_ms | stream.heartbeat_s | in seconds
  tardis.with_disconnect_messages | coverage | always: each hole stands in `collector_coverage` with its cause
  tardis.compute_tbt_book_snapshots | EX.sample.mode | `every` is the default
  tardis.cache_dir | retention.path
  tardis.from | python run.py backfill | `--start`
ccxt, nautilus_trader, hummingbot, python-binance
  options.default_type | EX.market | `spot`; `swap` and `future` are `linear`
  enable_rate_limit | stream.requests_a_second | always on, by what each exchange publishes
  sandbox_mode | EX.environment | `testnet`
  use_testnet | EX.environment | `testnet`
  streaming.keep_alive | stream.heartbeat_s | in seconds, not in ms
  watch_order_book.limit | EX.channels | `book.50`
  instrument_ids | EX.symbols | `BTCUSDT-PERP.BINANCE` is `BTC/USDT:USDT` of `binance`
  bar_types | EX.channels | `ohlcv.1m`
  base_url_ws | EX.endpoints.ws
  base_url_http | EX.endpoints.rest
  update_instruments_interval_mins | stream.markets_every_s | in seconds
  catalog_path | retention.path
  flush_interval_ms | writer.interval_s | in seconds
  order_book_depth | storage.levels
  candles_config | EX.channels | `ohlcv.1m`
  stream_url | EX.endpoints.ws
  max_queue_size | buffer.max_rows
  depth_cache.interval | EX.channels | the fastest that the exchange has
  depth_cache.ttl | integrity.witness_every_s | a book is fetched again only where REST differs
"""


class Elsewhere(NamedTuple):
    """A setting of other programs, and ours."""

    theirs: str  # with dots between sections
    ours: str
    note: str = ""  # what differs


def tables() -> dict[str, list[Elsewhere]]:
    """Return by kind of program the settings that it has."""
    found: dict[str, list[Elsewhere]] = {}
    for line in TABLES.strip().splitlines():
        if not line.startswith(" "):
            of_kind = found[line] = []
            continue
        theirs, ours, *note = (part.strip() for part in line.split(" | "))
        of_kind.append(Elsewhere(theirs, ours.replace("EX.", "exchanges.<exchange>."), *note))
    return found


def found_elsewhere(path: Sequence[str | int]) -> Elsewhere | None:
    """Return what a key is called here, by its longest known end; None where nobody else calls it so.

    A last name that means several things is not guessed at, unless one of them stands in the same section.
    """
    names = [_plain(one) for one in path if isinstance(one, str)]
    for first in range(len(names)):
        found = _BY_PATH.get("".join(names[first:]))  # `websocket.url`, and `websocket_url` as well
        if found is not None:
            return found
    meant = _BY_LAST.get(names[-1], []) if names else []
    here = [one for one in meant if one.ours.startswith(f"{path[0]}.")]
    return next((of[0] for of in (meant, here) if len({one.ours for one in of}) == 1), None)


def is_section_elsewhere(path: Sequence[str | int]) -> bool:
    """Return whether other programs have a section of this name, whose keys are looked at one by one."""
    return bool(path) and _plain(str(path[-1])) in _SECTIONS


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _parts(theirs: str) -> tuple[str, ...]:
    return tuple(map(_plain, theirs.split(".")))


_ALL = [one for of_kind in tables().values() for one in of_kind]
_BY_PATH = {"".join(_parts(one.theirs)): one for one in _ALL}
_BY_LAST: dict[str, list[Elsewhere]] = {}
for _one in _ALL:
    _BY_LAST.setdefault(_parts(_one.theirs)[-1], []).append(_one)
_SECTIONS = frozenset(part for one in _ALL for part in _parts(one.theirs)[:-1])
