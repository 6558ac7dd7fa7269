"""Messages of the library: to the terminal, or to the log when interactive logging is off."""

from __future__ import annotations

import logging
import sys

_settings = {"interactive": True}


def enable_interactive_logging() -> None:
    """Messages such as progress bars go to stdout (the state at the start)."""
    _settings["interactive"] = True


def disable_interactive_logging() -> None:
    """Messages such as progress bars go to the "nnlite" logger instead of stdout."""
    _settings["interactive"] = False


def is_interactive_logging_enabled() -> bool:
    return _settings["interactive"]


def print_msg(message: str, line_break: bool = True) -> None:
    """Prints a message, or logs it."""
    if not _settings["interactive"]:
        logging.getLogger("nnlite").info(message)
        return
    text = message + "\n" if line_break else message
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        sys.stdout.write(text.encode(encoding, errors="replace").decode(encoding))
    sys.stdout.flush()
