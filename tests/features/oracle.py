"""The features once more: slow, scalar and obvious."""

from math import isnan, nan

Levels = list[tuple[float, float]]


def features(bids: Levels, asks: Levels, depth: int) -> dict[str, float]:
    bid, bid_size = bids[0] if bids else (nan, nan)
    ask, ask_size = asks[0] if asks else (nan, nan)
    total_bid = total_ask = nan
    if depth >= 10:
        total_bid = total_ask = 0.0
        for _, size in bids[:10]:
            total_bid += size
        for _, size in asks[:10]:
            total_ask += size
    imbalance = nan
    if depth >= 10 and total_bid + total_ask != 0:
        imbalance = (total_bid - total_ask) / (total_bid + total_ask)
    mid = (bid + ask) / 2
    return {
        "bid_price_1": bid,
        "bid_size_1": bid_size,
        "ask_price_1": ask,
        "ask_size_1": ask_size,
        "mid_price": mid,
        "spread": ask - bid,
        "spread_bps": (ask - bid) / mid * 10_000,
        "microprice": (bid * ask_size + ask * bid_size) / (bid_size + ask_size),
        "order_book_imbalance": imbalance,
        "total_bid_volume_10": total_bid,
        "total_ask_volume_10": total_ask,
    }


def order_flow(
    before: tuple[float, float, float, float] | None, now: tuple[float, float, float, float]
) -> float:
    if before is None or any(isnan(number) for number in (*before, *now)):
        return nan
    bid_before, bid_size_before, ask_before, ask_size_before = before
    bid, bid_size, ask, ask_size = now
    flow = 0.0
    if bid >= bid_before:
        flow += bid_size
    if bid <= bid_before:
        flow -= bid_size_before
    if ask <= ask_before:
        flow -= ask_size
    if ask >= ask_before:
        flow += ask_size_before
    return flow
