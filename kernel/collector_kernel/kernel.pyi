from collections.abc import Sequence
from typing import final

INTERFACE: int
VERSION: str

@final
class Frame:
    def __init__(self, shape: str) -> None: ...
    def read(
        self, text: str, /
    ) -> tuple[str, int, int, int, int | None, Frame, Sequence[tuple[float, float]]] | None: ...

@final
class Book:
    def __init__(self) -> None: ...
    def follow(
        self,
        frame: Frame,
        number: int,
        middle: float,
        max_jump: float,
        most: int,
        levels: int,
        most_known: int,
        bid_edge: float,
        ask_edge: float,
        /,
    ) -> tuple[bytes, float, int, float, float] | None: ...
    def update(self, side: int, levels: Sequence[tuple[float, float]], /) -> tuple[float, float] | None: ...
    def levels(self, side: int, /) -> tuple[list[float], list[float]]: ...
    def count(self, side: int, /) -> int: ...
    def price(self, side: int, place: int, /) -> float: ...
    def cut(self, side: int, most: int, /) -> None: ...
    def pack(self, levels: int, /) -> bytes: ...
