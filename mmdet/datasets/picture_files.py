"""Picture files: read whole, refused for a reason that is said, decoded."""
from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Any, Mapping, Tuple

import cv2
import numpy as np

from mmcv_need.errors import DataError
from mmdet.datasets.picture_header import MAX_PIXELS, header_of

TEXT = (b'<', b'{')  # what a page of HTML or XML begins with, and JSON


def read_image(path: str) -> np.ndarray:
    """(h, w, 3) uint8 B, G, R of a picture file.

    Raises:
        DataError: see `read_bytes` and `decode_image`.
    """
    return decode_image(read_bytes(path), path)


def read_size(path: str) -> Tuple[int, int]:
    """(width, height) of a picture as it is seen, EXIF rotation applied; only a kind without a known header is decoded.

    Raises:
        DataError: see `read_bytes` and `decode_image`.
    """
    data = read_bytes(path)
    header = header_of(data)
    if header and header.whole and not header.floats and 0 < header.width * header.height <= MAX_PIXELS:
        return header.shown
    height, width = decode_image(data, path).shape[:2]
    return width, height


def read_bytes(path: str) -> bytes:
    """The content of a file.

    Raises:
        DataError: it cannot be read, or is a folder or a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0))  # which keeps from waiting for a pipe's writer
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                kind = 'folder' if os.path.isdir(path) else 'device or a pipe'
                raise DataError(f'{path}: is no file but a {kind}; check the file names in the annotations')
            with open(descriptor, 'rb', closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:  # the latter: a name with a zero byte
        raise DataError(f"{path}: the picture cannot be read ({getattr(error, 'strerror', None) or error}). "
                        f'{_other_name(path)}') from error


def decode_image(data: bytes, name: str) -> np.ndarray:
    """(h, w, 3) uint8 B, G, R from the bytes of a picture file; EXIF rotation applied.

    Bytes are decoded rather than the file, because OpenCV turns a truncated file into a picture with grey in it; and OpenCV 4
    does so of the bytes of a JPEG, whose end is therefore looked for.

    Raises:
        DataError: not a picture, a damaged one, or one of more than MAX_PIXELS.
    """
    header = header_of(data)
    if header and header.width * header.height > MAX_PIXELS:
        raise DataError(f'{name}: would be {header.width} x {header.height} pixels, more than {MAX_PIXELS:,}. If that is '
                        f'meant, set the environment variable OPENCV_IO_MAX_IMAGE_PIXELS to a larger number')
    if header and not header.whole:
        raise DataError(f'{name}: is cut short: a JPEG without its end ({len(data):,} bytes). Get the file anew, or remove its '
                        f'record from the annotations')
    if header and header.floats:  # OpenCV 4 makes something of them
        raise DataError(f'{name}: its pixels are floating point numbers, whose range only its maker knows. Save it with 8 '
                        f'bits a channel')
    try:
        img = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error:  # too large, or of a kind whose reader gives up
        img = None
    if img is None:
        raise DataError(f'{name}: {_no_picture(data)}. Replace the file or remove its record from the annotations')
    return img


def check_size(img: np.ndarray, info: Mapping[str, Any], path: str) -> None:
    """A decoded picture has the size that its record says, or that of the record on its side, as some annotators write.

    Args:
        img: (h, w, 3).
        info: the record, with `width` and `height` if it says so.
        path: of the file.

    Raises:
        DataError: it has another, or EXIF data turn it on its side: its boxes belong to a picture that is not seen.
    """
    height, width = img.shape[:2]
    said = (info.get('width', width), info.get('height', height))
    if said == (width, height):
        return
    header = header_of(read_bytes(path))
    turned = header is not None and header.orientation > 4
    if said == (height, width) and not turned:
        return
    why = 'EXIF data turn it to' if turned and said == (height, width) else 'the picture has'
    raise DataError(f'{path}: its record says {said[0]} x {said[1]} pixels, and {why} {width} x {height}; the boxes would not '
                    f'fit. Mend width, height and boxes of the record, or save the picture in the size (and position) that '
                    f'they were drawn on')


def _other_name(path: str) -> str:
    """What to do about a file that is not there."""
    folder, name = os.path.split(path)
    with suppress(OSError, ValueError):
        for other in os.listdir(folder or '.'):
            if other.lower() == name.lower() and other != name:
                return f"There is '{other}': letters must be as large in the annotations"
    return 'Check img_prefix and the file names in the annotations'


def _no_picture(data: bytes) -> str:
    """Why bytes are no picture, as far as that can be seen."""
    if not data:
        return 'is empty (0 bytes)'
    if not data.strip(b'\0'):
        return f'holds nothing but zeros ({len(data):,} bytes), as a broken copy does'
    if data.lstrip()[:1] in TEXT:
        return f'holds text, not a picture, as a failed download does ({len(data):,} bytes)'
    return f'not a picture that OpenCV can decode, or a damaged one ({len(data):,} bytes)'
