"""The run's logger: lines as MMDetection's users and their parsers know them, on the console and in a file."""
from __future__ import annotations

import logging
import os
import re
import sys
from contextlib import suppress
from functools import partial
from typing import List, Optional

from mmcv_need.errors import UserError, escaped

LINE = '%(asctime)s - %(name)s - %(levelname)s - %(message)s'


class Lines(logging.Formatter):
    """Lines that a terminal shows and does not obey: names of classes, weights and pictures are chosen by files."""

    def format(self, record: logging.LogRecord) -> str:
        parts = re.split(r'([\n\t])', super().format(record))
        return ''.join(part if part in '\n\t' else escaped(part) for part in parts)


def get_logger(name: str = 'mmdet', log_file: Optional[str] = None, level: str = 'INFO', rank: int = 0) -> logging.Logger:
    """The logger `name`, writing to stdout and, on rank 0, to `log_file`.

    Ranks other than 0 only report errors. No line is worth a run: where one cannot be written any more, stderr says so once.
    Calling again replaces the handlers: a process has one run at a time.

    Raises:
        UserError: the file cannot be written.
    """
    logger = logging.getLogger(name)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        with suppress(OSError):  # its last lines have no room
            handler.close()
    handlers = [logging.StreamHandler(sys.stdout)]
    if log_file and rank == 0:
        try:
            os.makedirs(os.path.dirname(os.path.abspath(log_file)), exist_ok=True)
            handlers.append(logging.FileHandler(log_file, encoding='utf-8'))
        except OSError as error:
            raise UserError(f'{log_file}: cannot be written ({error.strerror})') from error
    for handler in handlers:
        handler.setFormatter(Lines(LINE))
        handler.handleError = partial(tell_once, handler, [])
        logger.addHandler(handler)
    logger.setLevel(level.upper() if rank == 0 else 'ERROR')
    logger.propagate = False
    return logger


def tell_once(handler: logging.StreamHandler, told: List[str], record: logging.LogRecord) -> None:
    """Where logging would print a traceback for each line that cannot be written: one line for all of them.

    Args:
        handler: of the line.
        told: what was said of it.
        record: the line.
    """
    error = sys.exc_info()[1]
    if not isinstance(error, OSError):
        logging.Handler.handleError(handler, record)
    elif not told:
        told.append(f'warning: {handler.stream.name}: cannot be written ({error.strerror}); lines are missing in it')
        with suppress(OSError):
            print(told[0], file=sys.stderr)
