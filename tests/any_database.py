"""The database of a test that the other kind adds little to: that one is for `make proof`."""

import pytest


def _mostly(kind: str, other: str) -> pytest.MarkDecorator:
    kinds = [kind, pytest.param(other, marks=pytest.mark.proof)]
    return pytest.mark.parametrize("any_database", kinds, indirect=True)


in_a_file = _mostly("sqlite", "postgresql")
on_a_server = _mostly("postgresql", "sqlite")
