import pytest

from collector.database.identifiers import check_table_name
from collector.errors import UserError


@pytest.mark.parametrize("name", ["l2_training_data_practical", "a", "_", "t1", "a" * 63, "books"])
def test_a_plain_name_is_returned_as_it_is(name: str) -> None:
    assert check_table_name(name) == name


@pytest.mark.parametrize(
    ("name", "what_is_wrong"),
    [
        ("", "is empty"),
        ("x; DROP TABLE bots", "not a plain identifier"),
        ('x"; DROP TABLE bots; --', "not a plain identifier"),
        ("books\n", "not a plain identifier"),
        ("Books", "not a plain identifier"),
        ("1books", "not a plain identifier"),
        ("b\u043e\u043eks", "not a plain identifier"),
        ("public.books", "not a plain identifier"),
        ("a" * 64, "64 characters"),
        ("a" * 200, "200 characters"),
        ("select", "SQL keyword"),
        ("order", "SQL keyword"),
        ("user", "SQL keyword"),
        ("pragma", "SQL keyword"),
        ("sqlite_master", "sqlite_, which is reserved"),
        ("collector_sessions", "collector_, which is reserved"),
        ("pg_class", "pg_, which is reserved"),
    ],
)
def test_a_bad_name_is_refused_saying_why_and_what_is_expected(name: str, what_is_wrong: str) -> None:
    with pytest.raises(UserError, match=what_is_wrong) as caught:
        check_table_name(name)
    assert "expected a lower-case letter" in str(caught.value)
    assert len(str(caught.value)) < 320
