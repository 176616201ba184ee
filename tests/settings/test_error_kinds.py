"""Errors are caught by who knows the tree of them, and by who expects Python's own kinds."""

import pytest

from collector import AmbiguousSymbolError, TickError, create_data_ingestor, load_features
from collector.errors import CollectorError, MissingExtra, QueryError, SettingsError, UserError


@pytest.mark.parametrize(
    ("kind", "pythons"),
    [
        (SettingsError, ValueError),
        (TickError, ValueError),
        (QueryError, ValueError),
        (AmbiguousSymbolError, ValueError),
        (MissingExtra, ImportError),
    ],
)
def test_an_error_that_the_user_can_fix_is_also_one_of_pythons_kind(
    kind: type[UserError], pythons: type[Exception]
) -> None:
    assert issubclass(kind, UserError)
    assert issubclass(kind, CollectorError)
    assert issubclass(kind, pythons)


def test_who_catches_a_value_error_gets_every_mistake_of_a_config() -> None:
    with pytest.raises(ValueError, match="2 problems in the configuration") as caught:
        create_data_ingestor({"buffer_size": 0, "exchange": "nope"})
    assert isinstance(caught.value, SettingsError)
    assert len(caught.value.problems) == 2


def test_who_catches_a_value_error_gets_a_question_that_cannot_be_answered() -> None:
    with pytest.raises(ValueError, match="expected"):
        load_features(":memory:", "BTC/USDT", start="yesterday-ish")


def test_who_catches_an_import_error_gets_what_to_install() -> None:
    with pytest.raises(ImportError, match="this needs boto3: run") as caught:
        raise MissingExtra("boto3", "aws")
    assert str(caught.value) == caught.value.msg
