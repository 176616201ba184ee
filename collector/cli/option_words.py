"""Say what is wrong with a question in the words of the command line: by its options, not by arguments.

Where the library names an argument it writes `name=`, or begins with `name is`.
"""

import re
from collections.abc import Mapping

# What only a program can do has no place on the command line.
_OF_PROGRAMS = (
    (r"write pd\.Timestamp\([^)]*\), or text such as", "write text such as"),
    (r", fewer columns=, or iter_features, which reads piece after piece", ""),
    (r"\bsymbols\(\)", "python run.py symbols"),
)


def in_option_words(text: str, options: Mapping[str, str]) -> str:
    """Return a message with a command's options (`--depth`) in the place of the arguments of a call."""
    for pattern, words in _OF_PROGRAMS:
        text = re.sub(pattern, words, text)
    for name, option in options.items():
        text = re.sub(rf"\b{name}=(\.\.\.|(?=[\s,;.:]|$))", option, text)
        text = re.sub(rf"^{name}(?= is )|(?<![\w-]){name}(?= ['\"])", option, text)
    return text


def options_of(command: object, words: list[str]) -> dict[str, str]:
    """Return how the options of the command that these words call are written, by the names of arguments."""
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    found = {}
    for one in getattr(command, "params", ()):
        is_argument = getattr(one, "param_type_name", "") == "argument"
        found[str(one.name)] = str(one.name).upper() if is_argument else max(one.opts, key=len)
    return found
