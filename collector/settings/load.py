"""Merge the sources of the configuration, check the result, and report all mistakes at once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from collector.errors import SettingsError
from collector.exchanges import EXCHANGES
from collector.masking import without
from collector.settings.layers import Layer, Problem
from collector.settings.merged import Merged, credentials_of
from collector.settings.model import Settings
from collector.settings.plain import Notes
from collector.settings.sources import (
    SERVE_TOKEN,
    Variables,
    env_file_variables,
    environment_variables,
    from_caller,
    from_file,
    from_variables,
    token_of,
)

DEFAULT_ENV_FILE = Path(".env")
MOST_SHOWN = 100  # nobody reads more at once


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and notes for a person on where they come from."""

    settings: Settings
    notes: Notes


def load_settings(
    path: Path | None = None,
    *,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = DEFAULT_ENV_FILE,
    overrides_name: str = "command line",
) -> Settings:
    """Load the settings: overrides win over the environment, then `.env`, then the file, then the defaults.

    `overrides` has dotted keys (`{"database.url": ...}`), or `symbols` for the one exchange collected,
    `exchange` to collect that one only, `channels` for every exchange; messages call them `overrides_name`.
    A missing `.env` in the working directory is not a mistake. Raises SettingsError with all problems.
    """
    return load_with_notes(
        path, overrides=overrides, environ=environ, env_file=env_file, overrides_name=overrides_name
    ).settings


def load_with_notes(
    path: Path | None = None,
    *,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = DEFAULT_ENV_FILE,
    overrides_name: str = "command line",
    default_setup: bool = False,
    variables_name_exchanges: bool = True,
) -> Loaded:
    """Load the settings as `load_settings` does, and return them with notes for a person.

    With `default_setup`, an exchange's default markets are collected if none are named. Without
    `variables_name_exchanges`, only the caller chooses what is collected.
    """
    dotenv: Variables = {}
    problems: list[Problem] = []
    if env_file is not None:
        dotenv, problems = env_file_variables(env_file, must_exist=env_file != DEFAULT_ENV_FILE)
    environment = environment_variables(os.environ if environ is None else environ)
    layers = [
        from_file(path) if path is not None else Layer(),
        from_variables(dotenv, of_exchanges=variables_name_exchanges),
        from_variables(environment, of_exchanges=variables_name_exchanges),
        from_caller(overrides or {}, overrides_name),
    ]
    variables = dotenv | environment
    merged = Merged(layers, variables, default_setup=default_setup)
    problems += [problem for layer in layers for problem in layer.problems]
    settings = merged.settings(credentials_of(merged, variables, problems), token_of(variables, problems))
    problems += merged.problems
    if problems:
        secrets = {str(found.value).strip() for name, found in variables.items() if _holds_a_secret(name)}
        in_order = sorted(problems, key=lambda problem: problem.place)
        lines = [without(str(problem), secrets) for problem in in_order[:MOST_SHOWN]]
        if len(problems) > MOST_SHOWN:
            lines.append(f"and {len(problems) - MOST_SHOWN} more: mend these first")
        raise SettingsError(lines)
    return Loaded(settings, merged.notes)


def _holds_a_secret(variable: str) -> bool:
    exchanges = tuple(f"{exchange.upper()}_" for exchange in EXCHANGES)
    if variable.upper() == SERVE_TOKEN:
        return True
    return variable.upper().startswith(exchanges) and variable.upper().endswith(("_API_KEY", "_API_SECRET"))
