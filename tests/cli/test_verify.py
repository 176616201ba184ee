"""`verify` turns red on every kind of damage, and names the rows."""

import json
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from program import Run

DAMAGE = {
    "a row deleted": "DELETE FROM l2_training_data_practical WHERE id = 5",
    "a row doubled": (
        "INSERT INTO l2_training_data_practical ({columns}) "
        "SELECT {columns} FROM l2_training_data_practical WHERE id = 5"
    ),
    "a price changed": "UPDATE l2_training_data_practical SET bid_price_1 = bid_price_1 + 0.1 WHERE id = 5",
    "a feature changed": "UPDATE l2_training_data_practical SET microprice = microprice + 0.1 WHERE id = 5",
    "a row moved to another stream": "UPDATE l2_training_data_practical SET symbol = 'X' WHERE id = 5",
    "a segment stretched": (
        "UPDATE collector_coverage SET end_ns = end_ns + 1, alive_until_ns = alive_until_ns + 9"
    ),
    "a segment kept alive": "UPDATE collector_coverage SET alive_until_ns = alive_until_ns + 5000000000",
    "a segment cut": "UPDATE collector_coverage SET alive_until_ns = start_ns",
    "a count wrong": "UPDATE collector_accounting SET received = received + 1",
    "a row count wrong": "UPDATE collector_coverage SET rows = rows + 1",
    "a sequence changed": "UPDATE l2_training_data_practical SET sequence = sequence - 2 WHERE id = 5",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_verify_turns_red_on_planted_damage(run: Run, sound: Path, tmp_path: Path, damage: str) -> None:
    database = tmp_path / "damaged.db"
    database.write_bytes(sound.read_bytes())
    connection = sqlite3.connect(database)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(l2_training_data_practical)")]
    connection.execute(DAMAGE[damage].format(columns=", ".join(name for name in columns if name != "id")))
    connection.commit()
    connection.close()
    assert run("verify", "--db", str(sound)).returncode == 0
    found = run("verify", "--db", str(database))
    assert found.returncode == 1
    assert "finding" in found.stdout
    machine = json.loads(run("verify", "--db", str(database), "--json").stdout)
    assert not machine["passed"]
    assert machine["findings"]
