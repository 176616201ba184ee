"""The command that shows a database over HTTP while nobody collects."""

import json
import shutil
import socket
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))
from meanwhile import Running, RunWhile

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "trading_bot_live.db.example"
ANSWERS_WITHIN_S = 60.0


def test_a_database_is_shown_and_not_written(run_while: RunWhile, tmp_path: Path) -> None:
    path = Path(shutil.copy(EXAMPLE, tmp_path / "live.db"))
    before = path.read_bytes()

    def ask(running: Running) -> None:
        running.wait_for("is shown at")
        url = running.text.split(" is shown at ")[1].split()[0]
        with urlopen(f"{url}/api/overview", timeout=ANSWERS_WITHIN_S) as answer:
            assert json.load(answer)["live"] is False

    done = run_while(ask, "dashboard", "--db", str(path), "--port", "0")
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before


def test_what_stands_in_the_way_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from collector.cli.program import run  # noqa: PLC0415  (the other test starts it as a program)

    monkeypatch.chdir(tmp_path)
    assert run(["dashboard", "--db", "none.db", "--port", "0"]) == 2
    assert "there is no database at" in capsys.readouterr().err
    shutil.copy(EXAMPLE, tmp_path / "live.db")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert run(["dashboard", "--db", "live.db", "--port", port]) == 2
    assert f"port {port} of 127.0.0.1 cannot be listened on" in capsys.readouterr().err
    assert run(["dashboard", "--db", "live.db", "--port", "0", "--seconds", "0.1"]) == 0
    assert "is shown at http://127.0.0.1:" in capsys.readouterr().out


def test_the_password_of_a_database_is_not_printed(
    postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from collector.cli.program import run  # noqa: PLC0415  (the first test starts it as a program)

    monkeypatch.chdir(tmp_path)
    url = sa.make_url(postgres_url).set(password="hunter2-and-more")
    told = url.render_as_string(hide_password=False)
    assert run(["dashboard", "--db", told, "--port", "0", "--seconds", "0.1"]) == 0
    printed = capsys.readouterr()
    assert "is shown at http://127.0.0.1:" in printed.out
    assert "hunter2" not in printed.out + printed.err
