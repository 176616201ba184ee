"""Choose faults at random: the same ones for the same seed and the same sources."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from planting.folders import folder_of, modules
from planting.plants import Plant, is_another_program, plants_of

# Where a fault costs most: what is stored, what is read of it, and what a bot holds in its hands.
WEIGHTS = {"sinks": 12.0, "database": 8.0, "query": 20.0, "writer": 20.0, "bot": 10.0}
OTHERS = 30.0  # shared by all other folders, by their size


def all_plants(root: Path, folders: Sequence[str] = ()) -> dict[str, list[Plant]]:
    """List every fault that could be planted, by folder; `folders` keeps only these."""
    found: dict[str, list[Plant]] = defaultdict(list)
    for module in modules(root):
        folder = folder_of(module)
        if not folders or folder in folders:
            found[folder] += plants_of(module, (root / module).read_text(encoding="utf-8"))
    return {folder: plants for folder, plants in found.items() if plants}


def weights_of(plants: Mapping[str, Sequence[Plant]], weights: Mapping[str, float]) -> dict[str, float]:
    """Give each folder its weight: its own, or its share of what is left for all others."""
    sizes = {folder: len(found) for folder, found in plants.items() if folder not in weights}
    shares = {folder: OTHERS * size / sum(sizes.values()) for folder, size in sizes.items()}
    return {folder: weights.get(folder, shares.get(folder, 0.0)) for folder in plants}


def choose(
    root: Path, plants: Mapping[str, Sequence[Plant]], weights: Mapping[str, float], *, count: int, seed: int
) -> list[Plant]:
    """Draw faults at places drawn at random, one a place; fewer than `count` where there are no more."""
    draw = random.Random(seed)
    places = {folder: _by_place(found) for folder, found in plants.items()}
    shares = weights_of(plants, weights)
    chosen: list[Plant] = []
    while len(chosen) < count and any(places[folder] for folder, share in shares.items() if share):
        left = [folder for folder in places if places[folder] and shares[folder]]
        folder = draw.choices(left, [shares[one] for one in left])[0]
        possible = places[folder].pop(draw.randrange(len(places[folder])))
        plant = draw.choice(possible)
        if is_another_program(plant, (root / plant.module).read_text(encoding="utf-8")):
            chosen.append(plant)
    return chosen


def _by_place(plants: Sequence[Plant]) -> list[list[Plant]]:
    places: dict[tuple[str, int, int], list[Plant]] = {}
    for one in plants:
        places.setdefault(one.place, []).append(one)
    return list(places.values())
