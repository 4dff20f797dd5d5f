"""Read JSON files, of hundreds of megabytes too."""
from __future__ import annotations

from typing import Any

import orjson

from mmcv_need.errors import DataError


def read_json(path: str) -> Any:
    """The content of a JSON file.

    Raises:
        DataError: it cannot be read, or is not JSON; with the line.
    """
    try:
        with open(path, 'rb') as file:
            return orjson.loads(file.read())
    except orjson.JSONDecodeError as error:
        raise DataError(f'{path}:{error.lineno}: not valid JSON ({error.msg})') from error
    except OSError as error:
        raise DataError(f'{path}: cannot be read ({error.strerror})') from error
