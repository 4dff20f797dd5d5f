"""Twenty kinds of picture files that cannot be used, made here: none is stored.

Each is made at a path, of a picture (h, w, 3) whose record has its size, as a file that the record names.
"""
from __future__ import annotations

import os
import struct
import zlib

import cv2
import numpy as np

TURNED = b'\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0'  # EXIF: turn it on its side
PLAIN = (cv2.IMWRITE_TIFF_COMPRESSION, 1)  # not what some versions of OpenCV do to floats, which loses what they are


def encoded(suffix, picture, *options):
    return cv2.imencode(suffix, picture, options)[1].tobytes()


def jpeg(picture):
    return encoded('.jpg', picture)


def png_of_size(width, height):
    """A PNG of a few hundred kilobytes at most that stands for a picture of this size."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    squeeze = zlib.compressobj(9)
    row = b'\0' * (1 + width)
    rows = b''.join(squeeze.compress(row * 500) for _ in range(height // 500)) + squeeze.flush()
    header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


def content(make):
    """A kind whose file has the bytes that `make` gives."""
    return lambda path, picture: path.write_bytes(make(picture))


def in_other_letters(path, picture):
    path.with_name(path.name.upper()).write_bytes(jpeg(picture))


def damaged_png(picture):
    data = bytearray(encoded('.png', picture))
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


def turned(picture):
    """Of a picture whose record has the size that is stored, not the one that is shown."""
    data = jpeg(picture)
    return data[:2] + TURNED + data[2:]


KINDS = {
    'missing': (lambda path, picture: None, ['No such file', 'img_prefix']),
    'named in other letters': (in_other_letters, ["letters must be as large"]),
    'a folder': (lambda path, picture: path.mkdir(), ['is no file but a folder']),
    'a link to nothing': (lambda path, picture: path.symlink_to('nowhere.jpg'), ['No such file']),
    'a pipe': (lambda path, picture: os.mkfifo(path), ['is no file but a device or a pipe']),
    'empty': (content(lambda picture: b''), ['is empty (0 bytes)']),
    'a page of HTML': (content(lambda picture: b'<html>404 Not Found</html>\n' * 20), ['holds text', '540 bytes']),
    'zeros': (content(lambda picture: b'\0' * 4096), ['nothing but zeros', '4,096 bytes']),
    'a pointer of git lfs': (content(lambda picture: b'version https://git-lfs.github.com/spec/v1\n'), ['not a picture']),
    'an archive': (content(lambda picture: b'PK\3\4' + bytes(range(256)) * 9), ['not a picture']),
    'noise': (content(lambda picture: np.random.RandomState(0).bytes(5000)), ['not a picture']),
    'half a JPEG': (content(lambda picture: jpeg(picture)[:len(jpeg(picture)) // 2]), ['is cut short', 'without its end']),
    'a JPEG without its last bytes': (content(lambda picture: jpeg(picture)[:-2]), ['is cut short']),
    'the beginning of a JPEG': (content(lambda picture: b'\xff\xd8\xff'), ['not a picture', '3 bytes']),
    'half a PNG': (content(lambda picture: encoded('.png', picture)[:len(encoded('.png', picture)) // 2]), ['a damaged one']),
    'a damaged PNG': (content(damaged_png), ['a damaged one']),
    'numbers, not colours': (content(lambda picture: encoded('.tiff', picture.astype(np.float32), *PLAIN)), ['floating point']),
    'of another size': (content(lambda picture: jpeg(picture[:-8])), ['its record says', 'the boxes would not fit']),
    'turned by EXIF data': (content(turned), ['EXIF data turn it to', 'the boxes would not fit']),
    'a bomb of 144 million pixels': (content(lambda picture: png_of_size(12000, 12000)),
                                     ['12000 x 12000', 'more than 100,000,000']),
}
