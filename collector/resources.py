"""Find the files that travel with the code: beside it in a source tree, inside it in a wheel."""

from pathlib import Path

from collector.errors import CollectorError

_PACKAGE = Path(__file__).resolve().parent


def migrations_path() -> Path:
    """Return the folder that holds Alembic's env.py and versions."""
    return _find("migrations")


def schemas_path() -> Path:
    """Return the folder that holds the schemas of the records that leave the program."""
    return _find("schemas")


def _find(name: str) -> Path:
    # The bundled copy first: beside an installed package lie the folders of other packages.
    places = (_PACKAGE / "_bundled" / name, _PACKAGE.parent / name)
    for place in places:
        if place.exists():
            return place
    looked_in = " and ".join(str(place) for place in places)
    raise CollectorError(f"{name} was not found: looked for {looked_in}; the installation is incomplete")
