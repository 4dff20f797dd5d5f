"""Errors that a user can cause and can mend: one line each, no traceback at the command line.

Every message says where (file, record or config line), what was given, what was expected, and how to fix it. Much of that may
be chosen by a file that nobody has looked at: a message is made of characters that a terminal shows and does not obey.
"""
from __future__ import annotations

import difflib
from typing import Iterable

LONGEST = 4000  # characters of a message; what is left out of a longer one is in its middle


def escaped(text: str) -> str:
    """Text in one line, whatever it holds: a character that is not printed is written as in `\\x1b`."""
    if text.isprintable():
        return text
    return ''.join(letter if letter.isprintable() else letter.encode('unicode_escape').decode() for letter in text)


def printable(text: str) -> str:
    """The same, of bounded length."""
    line = escaped(text)
    return line if len(line) <= LONGEST else f'{line[:LONGEST - 500]} ... {line[-400:]}'


class UserError(ValueError):
    """Something outside the program is wrong; a command line prints the message and exits with status 2.

    Args:
        message: where, what, and how to mend it; made printable.
    """

    def __init__(self, message: str = '') -> None:
        super().__init__(printable(str(message)))


class ConfigError(UserError):
    """A config file, an option on the command line, or an argument that a config gives to a component."""


class DataError(UserError):
    """An annotation file, a picture, or a class list."""


class CheckpointError(UserError):
    """A file of weights that is missing, damaged, unreachable, or made for another model."""


class LogError(UserError):
    """The log of a run that cannot be read, or lacks what is asked of it."""


class DeviceError(UserError):
    """A device that was asked for and cannot be used."""


class DivergedError(UserError):
    """A training run whose losses or gradients are no numbers any more."""


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name that `name` most likely meant, whatever its capitals, or '' if none is close."""
    folded = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=cutoff)
    return folded[close[0]] if close else ''


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A sentence to append to an error: ` Did you mean 'x'?`, or the whole list if nothing is close and it is short."""
    known = sorted(known)
    close = nearest(name, known, cutoff)
    if close:
        return f" Did you mean '{close}'?"
    return f" Known: {', '.join(known)}." if 0 < len(known) <= 20 else ''
