"""Each kind of mistake has its message; all of them are told at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from collector.errors import SettingsError
from collector.settings import load_settings

Problems = Callable[..., list[str]]

COLLECTED = "bybit linear and spot: bbo, book, ohlcv, trade"


def test_five_mistakes_get_five_messages(problems: Problems) -> None:
    found = problems(
        """\
exchanges:
  bybit:
    enviroment: demo
    symbols: [BTC/USDT:USDT, BTC/USDT:USDT]
    channels: [book.30]
database:
  auto_migrate: NO
buffer: {max_rows: 500}
"""
    )
    assert found == [
        (
            "live.yaml line 3: exchanges.bybit.enviroment: found a key that exchanges.bybit does not have; "
            "did you mean environment?"
        ),
        (
            "live.yaml line 4: exchanges.bybit.symbols[1]: found 'BTC/USDT:USDT' a second time, "
            "expected each symbol once"
        ),
        (
            "live.yaml line 5: exchanges.bybit.channels[0]: found 'book.30', a depth that "
            "bybit does not offer "
            "for linear, expected one of 1, 50, 200, 1000"
        ),
        "live.yaml line 7: database.auto_migrate: found 'NO', expected true or false",
        "live.yaml line 8: buffer.max_rows: found 500, expected at least writer.batch_rows, which is 1000",
    ]


def test_mistakes_of_all_sources_are_told_together_in_the_order_of_the_sources(problems: Problems) -> None:
    found = problems(
        "writer: {interval_s: -1}",
        dotenv="# first\n\nCOLLECTOR_BUFFER__MAX_ROWS=none\n",
        environ={"COLLECTOR_STREAM__HEARTBEAT_S": "often"},
        overrides={"shutdown.deadline_s": 0},
    )
    seconds = "expected seconds, above 0 and at most 3600"
    assert found == [
        f"live.yaml line 1: writer.interval_s: found -1, {seconds}",
        ".env line 3: buffer.max_rows: found 'none', expected a whole number from 1 to 10000000",
        f"environment variable COLLECTOR_STREAM__HEARTBEAT_S: stream.heartbeat_s: found 'often', {seconds}",
        f"command line: shutdown.deadline_s: found 0, {seconds}",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # keys
        (
            "databse: {url: x.db}",
            "line 1: databse: found a key that the configuration does not have; did you mean database?",
        ),
        (
            "url: x.db",
            "line 1: url: found a key that the configuration does not have; did you mean database.url?",
        ),
        (
            "buffer: {qqq: 1}",
            "line 1: buffer.qqq: found a key that buffer does not have, expected one of max_rows, max_bytes",
        ),
        ("buffer: 5", "line 1: buffer: found a number, expected a section with max_rows, max_bytes"),
        (
            "exchanges: [bybit]",
            "line 1: exchanges: found a list, expected a section with the names of exchanges",
        ),
        (
            "buffer: {max_rows: 2000, max_rows: 3000}",
            "line 1: max_rows: found a second time (first on line 1)",
        ),
        ("[a]: 1", "line 1: found a list or a mapping for a key, expected a name"),
        # types: what YAML 1.1 would have turned into something else
        ("logging: {file: 5}", "line 1: logging.file: found 5, expected the path of a file, or null"),
        (
            "writer: {batch_rows: 12:30}",
            "line 1: writer.batch_rows: found '12:30', expected a whole number from 1 to 1000000",
        ),
        (
            "writer: {batch_rows: 010}",
            "line 1: writer.batch_rows: found '010', expected a whole number from 1 to 1000000",
        ),
        (
            "writer: {batch_rows: 10.0}",
            "line 1: writer.batch_rows: found 10.0, expected a whole number from 1 to 1000000",
        ),
        (
            "writer: {batch_rows: true}",
            "line 1: writer.batch_rows: found true, expected a whole number from 1 to 1000000",
        ),
        (
            "writer: {interval_s: yes}",
            "line 1: writer.interval_s: found 'yes', expected seconds, above 0 and at most 3600",
        ),
        (
            "writer: {interval_s: null}",
            "line 1: writer.interval_s: found nothing, expected seconds, above 0 and at most 3600",
        ),
        (
            "writer: {interval_s: .nan}",
            "line 1: writer.interval_s: found nan, expected seconds, above 0 and at most 3600",
        ),
        (
            "writer: {interval_s: 500000}",
            "line 1: writer.interval_s: found 500000, expected seconds, above 0 and at most 3600",
        ),
        (
            "writer: {batch_rows: {a: 1}}",
            "line 1: writer.batch_rows: found a mapping, expected a whole number from 1 to 1000000",
        ),
        ("database: {auto_migrate: 1}", "line 1: database.auto_migrate: found 1, expected true or false"),
        ("database: {url: ''}", None),
        (
            "logging: {level: warn}",
            (
                "line 1: logging.level: found 'warn', expected one of debug, info, warning, error; "
                "did you mean warning?"
            ),
        ),
        # contradictions
        (
            "buffer: {max_rows: 10}\nwriter: {batch_rows: 20}",
            "line 2: buffer.max_rows: found 10, expected at least writer.batch_rows, which is 20",
        ),
        (
            "stream: {backoff_base_s: 61}",
            (
                "line 1: stream.backoff_max_s: found 60.0, expected at least "
                "stream.backoff_base_s, which is 61.0"
            ),
        ),
        (
            "writer: {retry_max_s: 0.01}",
            "line 1: writer.retry_max_s: found 0.01, expected at least writer.retry_base_s, which is 0.1",
        ),
        # the database
        (
            "database: {url: 'mysql://h/d'}",
            (
                "line 1: database.url: found 'mysql://h/d', expected a path of an SQLite file, "
                "or a URL that begins "
                "with sqlite:// or postgresql://"
            ),
        ),
        (
            'database: {url: "a\\nb"}',
            (
                "line 1: database.url: found 'a\\nb', expected a path of an SQLite file, or a "
                "URL that begins "
                "with sqlite:// or postgresql://"
            ),
        ),
        # the file itself
        ("a: *b", "line 1: found an alias (*name), expected the value itself"),
        ("a: &b [1]\nc: *b", "line 2: found an alias (*name), expected the value itself"),
        ("a: !!python/name:os.system", "line 1: found a YAML tag (!name), expected a plain value"),
        ("a: [1", "line 1: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n---\nb: 1", "line 2: but found another document"),
        ("a: @", "line 1: found character '@' that cannot start any token"),
        (
            "just words",
            (
                "found text, expected a section with exchanges, database, followers, buffer, writer, spool, "
                "breaker, stream, integrity, storage, housekeeping, "
                "retention, jobs, shutdown, serve, metrics, health, logging"
            ),
        ),
        (
            "- 1",
            (
                "found a list, expected a section with exchanges, database, followers, buffer, writer, "
                "spool, breaker, stream, integrity, storage, housekeeping, "
                "retention, jobs, shutdown, serve, metrics, health, logging"
            ),
        ),
        (
            "housekeeping: {batches_days: 0.24}",
            (
                "line 1: housekeeping.batches_days: found 0.24, "
                "expected days, from 0.25 to 36500: a batch of unknown outcome is looked up for hours"
            ),
        ),
        ("a: \x07", "found characters that YAML does not allow, expected a text file"),
    ],
)
def test_one_mistake_has_one_message(problems: Problems, text: str, message: str | None) -> None:
    message = message or (
        "line 1: database.url: found '', expected a path of an SQLite file, or a URL that begins with "
        "sqlite:// or postgresql://"
    )
    (found, *others) = problems(text)
    assert found.removeprefix("live.yaml ").removeprefix("live.yaml: ") == message
    assert all(" a: " in other for other in others)  # the nonsense key of some of the texts


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("symbols: []", 'symbols: found no symbols, expected at least one, like ["BTC/USDT:USDT"]'),
        (
            "symbols: BTCUSDT",
            "symbols: found 'BTCUSDT', expected a list of markets, like [\"BTC/USDT:USDT\"]",
        ),
        (
            "symbols: [BTCUSDT, 5]",
            "symbols[1]: found 5, expected the name of a market, like BTC/USDT:USDT",
        ),
        (
            "symbols: ['BTC USDT']",
            "symbols[0]: found 'BTC USDT', expected the name of a market, like BTC/USDT:USDT",
        ),
        (
            "symbols: [BTCUSDT, btcusdt]",
            "symbols[1]: found 'btcusdt' a second time, expected each symbol once",
        ),
        (
            "symbols: ['BTC/USD:BTC']",
            (f"symbols[0]: found 'BTC/USD:BTC' (inverse), expected what this version collects: {COLLECTED}"),
        ),
        (
            "universe: {top: 0}",
            "universe.top: found 0, expected a whole number from 1 to 1000, or null",
        ),
        ("universe: {top: 5, by: trades}", "universe.by: found 'trades', expected volume"),
        (
            "universe: {top: 5, quote: US-D}",
            "universe.quote: found 'US-D', expected a currency, like USDT",
        ),
        (
            "universe: {tops: 5}",
            "universe.tops: found a key that exchanges.bybit.universe does not have; did you mean top?",
        ),
        (
            "universe: {top: 5}\n    channels: [book.51]",
            (
                "channels[0]: found 'book.51', a depth that bybit does not offer for linear, "
                "expected one of 1, 50, 200, 1000"
            ),
        ),
        ("channels: []", "channels: found no channels, expected at least one, like book.50"),
        (
            "channels: [book.50, book.50]",
            "channels[1]: found 'book.50' a second time, expected each channel once",
        ),
        (
            "channels: [book.51]",
            (
                "channels[0]: found 'book.51', a depth that bybit does not offer for linear, "
                "expected one of 1, 50, "
                "200, 1000"
            ),
        ),
        (
            "channels: [ohlcv.7m]",
            (
                "channels[0]: found 'ohlcv.7m', an interval that bybit does not offer, expected "
                "one of 1m, 3m, 5m, "
                "15m, 30m, 1h, 2h, 4h, 6h, 12h, 1d, 1w, 1M"
            ),
        ),
        (
            "channels: [book.050]",
            "channels[0]: found 'book.050', expected book.<depth>, bbo, trade or ohlcv.<interval>",
        ),
        (
            "channels: [book]",
            "channels[0]: found 'book', expected book.<depth>, bbo, trade or ohlcv.<interval>",
        ),
        (
            "environment: Testnet",
            "environment: found 'Testnet', expected one of live, testnet, demo; did you mean testnet?",
        ),
        (
            "data_source: live",
            "data_source: found 'live', expected one of live_trading, testnet, demo, simulator, or null",
        ),
        (
            "environment: testnet\n    data_source: live_trading",
            (
                "data_source: found 'live_trading', but the environment is testnet, expected "
                "testnet or simulator"
            ),
        ),
        (
            "endpoints: {rest: 127.0.0.1:8900}",
            "endpoints.rest: found '127.0.0.1:8900', expected a URL like http://host:8900",
        ),
        (
            "endpoints: {rest: 'ws://h'}",
            "endpoints.rest: found 'ws://h', expected a URL like http://host:8900",
        ),
        (
            "endpoints: {ws: 'http://h'}",
            "endpoints.ws: found 'http://h', expected a URL like ws://host:8900",
        ),
        (
            "endpoints: {ws: 'ws://h:port'}",
            "endpoints.ws: found an address that cannot be read, expected a URL like ws://host:8900",
        ),
        (
            "endpoints: {ws: 'ws://h/?a=1'}",
            "endpoints.ws: found 'ws://h/?a=1', expected a URL like ws://host:8900",
        ),
        (
            'endpoints: {ws: "ws://h/\\x7f"}',
            r"endpoints.ws: found 'ws://h/\x7f', expected a URL like ws://host:8900",
        ),
        (
            "endpoints: {ws: 'ws://spot.example'}",
            (
                "endpoints.ws: found 'ws://spot.example', expected a URL without 'spot' in it: "
                "use an address "
                "instead"
            ),
        ),
        (
            "endpoints: {ws: 'ws://user:pass@h'}",
            (
                "endpoints.ws: found an address with a name or a password in it (not shown), "
                "expected a URL like "
                "ws://host:8900"
            ),
        ),
    ],
)
def test_one_mistake_of_an_exchange_has_one_message(problems: Problems, lines: str, message: str) -> None:
    symbols = "" if lines.startswith("symbols") else "    symbols: [BTC/USDT:USDT]\n"
    line = 3 + bool(symbols) + lines.count("\n")
    assert problems(f"exchanges:\n  bybit:\n{symbols}    {lines}\n") == [
        f"live.yaml line {line}: exchanges.bybit.{message}"
    ]


def test_one_address_of_binance_takes_markets_of_one_kind(problems: Problems) -> None:
    text = (
        "exchanges:\n  binance:\n    symbols: [BTC/USDT{more}]\n"
        "    endpoints: {{ws: 'wss://data-stream.binance.vision/ws'}}\n"
    )
    (problem,) = problems(text.format(more=", ETH/USDT:USDT"))
    assert problem.endswith(
        "exchanges.binance.endpoints.ws: found 'wss://data-stream.binance.vision/ws', one address, "
        "but markets of spot and linear, expected one kind"
    )


def test_an_unknown_exchange_is_told_the_nearest(problems: Problems) -> None:
    assert problems("exchanges: {bybitt: {symbols: [A]}}") == [
        (
            "live.yaml line 1: exchanges.bybitt: found an exchange that is not known, expected one of bybit, "
            "binance, kraken, okx, or another of ccxt.pro's; did you mean bybit?"
        )
    ]
    assert problems("exchanges: {hyperlikuid: {symbols: [A]}}")[0].endswith("did you mean hyperliquid?")


def test_an_exchange_that_nobody_wrote_a_file_for_gives_books_alone(problems: Problems) -> None:
    text = "exchanges:\n  gate:\n    symbols: [BTC/USDT, BTC/USD:BTC]\n    channels: [book.50, bbo, trade]\n"
    assert problems(text + "    environment: demo\n") == [
        (
            "live.yaml line 3: exchanges.gate.symbols[1]: found 'BTC/USD:BTC' (inverse), "
            "expected what this version collects: gate spot and linear: bbo, book"
        ),
        (
            "live.yaml line 4: exchanges.gate.channels[2]: found 'trade', "
            "expected what this version collects: gate spot and linear: bbo, book"
        ),
        (
            "live.yaml line 5: exchanges.gate.environment: found 'demo', "
            "but gate has no demo environment, expected live"
        ),
    ]


def test_kraken_says_that_it_has_no_testnet(problems: Problems) -> None:
    assert problems(
        "exchanges:\n  kraken:\n    environment: testnet\n    symbols: [BTC/USD]\n    channels: [book.10]\n"
    ) == [
        (
            "live.yaml line 3: exchanges.kraken.environment: found 'testnet', but kraken has no testnet "
            "environment, expected live"
        ),
    ]


@pytest.mark.parametrize("name", ["x; DROP TABLE y", "a" * 200, "select", "", "collector_trades", "Täfel"])
def test_a_hostile_table_name_is_refused(problems: Problems, name: str) -> None:
    (problem,) = problems(overrides={"database.table_name": name})
    assert problem.startswith("command line: database.table_name: ")
    assert "expected" in problem
    assert len(problem) < 400


def test_a_bad_value_hides_no_other_and_raises_no_false_contradiction(problems: Problems) -> None:
    """`batch_rows` cannot be read: whether the buffer holds it cannot be said."""
    assert problems("buffer: {max_rows: 5}\nwriter: {batch_rows: many}\n") == [
        "live.yaml line 2: writer.batch_rows: found 'many', expected a whole number from 1 to 1000000"
    ]


def test_a_long_value_is_cut_and_control_characters_are_escaped(problems: Problems) -> None:
    (problem,) = problems(overrides={"logging.level": "\x1b[31m" + "x" * 10_000})
    assert "\x1b" not in problem
    assert len(problem) < 250


def test_the_line_is_that_of_the_key_in_a_block(problems: Problems) -> None:
    assert problems("# one\n\ndatabase:\n  url: a.db\n  # five\n  auto_migrat: true\n") == [
        (
            "live.yaml line 6: database.auto_migrat: found a key that database does not have; "
            "did you mean auto_migrate?"
        )
    ]


def test_more_than_a_hundred_mistakes_are_counted_not_listed(problems: Problems) -> None:
    found = problems("".join(f"a{number}: 1\n" for number in range(150)))
    assert len(found) == 101
    assert found[0].startswith("live.yaml line 1: a0: ")
    assert found[-1] == "and 50 more: mend these first"


def test_a_missing_file_says_so() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(Path("nowhere.yaml"), environ={})
    assert caught.value.problems == ["nowhere.yaml: no such file, expected a YAML file"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, environ={})
    assert caught.value.problems == [f"{tmp_path}: found something that is not a file, expected a YAML file"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"# " + b"x" * 1_000_000, "found more than 1000000 bytes, expected a YAML file"),
        (b"\xff\xfe\x00", "found bytes that are not UTF-8, expected a YAML file"),
    ],
)
def test_a_file_that_is_no_small_text_is_refused(content: bytes, text: str) -> None:
    Path("live.yaml").write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(Path("live.yaml"), environ={})
    assert caught.value.problems == [f"live.yaml: {text}"]


def test_a_tab_is_named(problems: Problems) -> None:
    told = "found a tab, expected spaces: YAML indents with spaces only"
    assert problems("exchanges:\n\tbybit: {}\n") == [f"live.yaml line 2: {told}"]


def test_an_alias_bomb_is_refused_at_its_first_alias(problems: Problems) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    assert problems(bomb) == ["live.yaml line 2: found an alias (*name), expected the value itself"]


@pytest.mark.parametrize("nest", ["[" * 200_000, "{a: " * 200_000, "- " * 200_000])
def test_nesting_without_end_is_refused(problems: Problems, nest: str) -> None:
    (problem,) = problems(nest)
    assert "nested more than 20 deep" in problem


def test_two_names_of_one_topic_are_a_contradiction(problems: Problems) -> None:
    text = "exchanges:\n  {name}:\n    symbols: [BTC/USDT]\n    channels: [{one}, book.50, {other}]\n"
    assert problems(text.format(name="bybit", one="book.1", other="bbo")) == [
        (
            "live.yaml line 4: exchanges.bybit.channels[0]: "
            "found both bbo and book.1, which are one and the same at bybit, expected one of them"
        )
    ]


def test_what_stands_behind_a_list_for_a_key_is_checked_as_well(problems: Problems) -> None:
    found = problems("buffer:\n  ? [a, b]\n  : 1\n  max_rows: none\n  max_rows: 1\n")
    assert found == [
        "live.yaml line 2: found a list or a mapping for a key, expected a name",
        "live.yaml line 4: buffer.max_rows: found 'none', expected a whole number from 1 to 10000000",
        "live.yaml line 5: max_rows: found a second time (first on line 4)",
    ]


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [
        ("buffer.max_bytes", 65_536, 1 << 44),
        ("spool.max_bytes", 65_536, 1 << 44),
        ("buffer.max_rows", 1, 10_000_000),
        ("writer.batch_rows", 1, 1_000_000),
    ],
)
def test_a_whole_number_may_be_as_small_and_as_large_as_is_said(
    problems: Problems, key: str, least: int, most: int
) -> None:
    section, _, name = key.partition(".")

    def told(value: int) -> list[str]:
        return [
            one
            for one in problems(f"{section}: {{{name}: {value}}}\nnot_a_section: 1")
            if f"{key}: found {value}, expected a whole number" in one
        ]

    for wrong in (least - 1, most + 1):
        (message,) = told(wrong)
        assert f"from {least} to {most}" in message
    assert [told(value) for value in (least, most)] == [[], []]


def test_an_empty_folder_for_old_rows_is_refused(problems: Problems) -> None:
    """It would be the working directory."""
    (found,) = problems('retention: {days: 7.0, path: ""}')
    assert found == "live.yaml line 1: retention.path: found '', expected text"
