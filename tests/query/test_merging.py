"""Chunks put into one order, and cut anew, whatever they were cut into before."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.query.rows.columns import NO_INT, Chunk, empty, joined, length, pandas_column, picked
from collector.query.rows.merging import even, merged


def chunk(at_ns: list[int], name: str) -> Chunk:
    return {
        "received_at_ns": np.array(at_ns, dtype=np.int64),
        "of": np.array([f"{name}{place}" for place in range(len(at_ns))], dtype=np.object_),
    }


def rows(chunks: list[Chunk]) -> list[tuple[int, str]]:
    return [
        pair
        for one in chunks
        for pair in zip(one["received_at_ns"].tolist(), one["of"].tolist(), strict=True)
    ]


@given(
    st.lists(
        st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=4), max_size=4), min_size=1, max_size=4
    )
)
def test_sources_become_one_in_the_order_of_receipt_and_of_the_sources_at_one_instant(
    times: list[list[list[int]]],
) -> None:
    sources: list[list[Chunk]] = []
    for number, pieces in enumerate(times):
        ordered = iter(sorted(at for piece in pieces for at in piece))
        sources.append(
            [
                chunk([next(ordered) for _ in piece], f"{number}.{place}.")
                for place, piece in enumerate(pieces)
            ]
        )
    found = list(merged([iter(source) for source in sources]))
    assert all(length(one) for one in found)
    expected = [pair for source in sources for pair in rows(source)]
    assert rows(found) == sorted(expected, key=lambda pair: pair[0])  # sorted is stable


def test_rows_of_one_instant_keep_their_order_across_the_end_of_a_chunk() -> None:
    older = [chunk([1, 5], "older first "), chunk([5, 5], "older then "), chunk([5, 9], "older last ")]
    newer = [chunk([5], "newer first "), chunk([5, 6], "newer last ")]
    assert [name for at, name in rows(list(merged([iter(older), iter(newer)]))) if at == 5] == [
        "older first 1",
        "older then 0",
        "older then 1",
        "older last 0",
        "newer first 0",
        "newer last 0",
    ]


@given(st.lists(st.integers(0, 7), max_size=6), st.integers(1, 5))
def test_chunks_of_any_length_become_chunks_of_one(lengths: list[int], wanted: int) -> None:
    numbers = iter(range(100))
    chunks = [chunk([next(numbers) for _ in range(count)], "a") for count in lengths]
    found = list(even(iter(chunks), wanted))
    assert [at for at, _ in rows(found)] == list(range(sum(lengths)))
    whole, rest = divmod(sum(lengths), wanted)
    assert [length(one) for one in found] == [wanted] * whole + [rest] * bool(rest)


def test_columns_of_nothing_have_their_types() -> None:
    none = empty({"a": "float", "b": "int", "c": "text"})
    assert [values.dtype.kind for values in none.values()] == ["f", "i", "O"]
    assert joined([], {"a": "int"})["a"].dtype == np.int64
    assert joined([]) == {}
    assert length({}) == 0


def test_rows_are_chosen_of_all_columns() -> None:
    one = chunk([1, 2, 3], "a")
    assert rows([picked(one, slice(1, None))]) == [(2, "a1"), (3, "a2")]
    assert rows([picked(one, np.array([True, False, True]))]) == [(1, "a0"), (3, "a2")]
    assert rows([joined([one, chunk([4], "b")])])[-1] == (4, "b0")


def test_a_frame_gets_missing_numbers_and_words_of_few_kinds() -> None:
    whole = pandas_column("sequence", np.array([5, NO_INT], dtype=np.int64))
    assert list(whole.isna()) == [False, True]  # type: ignore[attr-defined]
    assert whole[0] == 5  # type: ignore[index]
    words = np.array(["a", None], dtype=np.object_)
    assert str(pandas_column("symbol", words).dtype) == "category"  # type: ignore[attr-defined]
    assert str(pandas_column("trade_id", words).dtype) == "string"  # type: ignore[attr-defined]
    numbers = np.array([1.0, np.nan])
    assert pandas_column("price", numbers) is numbers
