"""What the first bytes of a picture file say of it, before anything is decoded."""
from __future__ import annotations

import os
import struct
from typing import Callable, Dict, NamedTuple, Optional, Tuple

MAX_PIXELS = int(os.environ['OPENCV_IO_MAX_IMAGE_PIXELS'])  # mmdet/__init__.py sets it unless the user does
JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of the segments that hold the size
BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
JPEG_DATA, JPEG_APP1, JPEG_END = 0xDA, 0xE1, b'\xff\xd9'
WIDTH, HEIGHT, BITS, ORIENTATION, SAMPLES, SAMPLE_FORMAT = 256, 257, 258, 274, 277, 339  # TIFF's tags
TIFF_INTEGERS = {3: ('H', 2), 4: ('I', 4)}  # letter of struct, bytes
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # of each colour type; a palette's colours are three


class Header(NamedTuple):
    """Fields:
        kind: 'JPEG', 'PNG', 'BMP', 'GIF', 'WebP' or 'TIFF'.
        width, height: pixels as they are stored.
        channels: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha, or the four inks of a JPEG for print.
        bits: of a channel.
        orientation: EXIF's, 1 to 8; from 5 on a reader turns the picture on its side. 1 unless it is a JPEG that says more.
        whole: whether the file has its end. Only a JPEG is looked at: OpenCV 4 fills up what is missing of one with grey.
        floats: whether its numbers are no integers, as only TIFF may have them.
    """
    kind: str
    width: int
    height: int
    channels: int
    bits: int = 8
    orientation: int = 1
    whole: bool = True
    floats: bool = False

    @property
    def shown(self) -> Tuple[int, int]:
        """Width and height as the picture is to be seen."""
        return (self.height, self.width) if self.orientation > 4 else (self.width, self.height)


def header_of(data: bytes) -> Optional[Header]:
    """The header of a picture file; None if it is of another kind, or damaged there."""
    for mark, read in KINDS.items():
        if data.startswith(mark):
            try:
                return read(data)
            except (struct.error, IndexError, KeyError):
                return None
    return None


def _jpeg(data: bytes) -> Optional[Header]:
    place, size, orientation = 2, None, 1
    while data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # may stand before a marker any number of times
            place += 1
            continue
        if marker in BARE:
            place += 2
            continue
        start, length = place + 4, struct.unpack_from('>H', data, place + 2)[0]
        if marker in JPEG_SIZES:
            size = struct.unpack_from('>BHHB', data, start)
        elif marker == JPEG_APP1 and data[start:start + 6] == b'Exif\0\0':
            orientation = _orientation(data[start + 6:place + 2 + length])
        elif marker == JPEG_DATA:
            break
        place += 2 + length
    if size is None:
        return None
    bits, height, width, channels = size
    # In the coded pixels each 0xFF is followed by 0 or a restart mark: only the end looks like the end. That of a preview
    # within the EXIF data comes before them.
    return Header('JPEG', width, height, channels, bits, orientation, data.rfind(JPEG_END, place) >= 0)


def _orientation(tiff: bytes) -> int:
    """Of EXIF data, which are laid out as a TIFF file."""
    try:
        value = _tags(tiff).get(ORIENTATION, 1)
    except (KeyError, struct.error):
        return 1
    return value if 1 <= value <= 8 else 1


def _tags(tiff: bytes) -> Dict[int, int]:
    """Number of a tag -> its first value, of the tags of the first directory that are short or long integers."""
    order = {b'II': '<', b'MM': '>'}[tiff[:2]]
    first = struct.unpack_from(f'{order}I', tiff, 4)[0]
    tags = {}
    for entry in range(struct.unpack_from(f'{order}H', tiff, first)[0]):
        place = first + 2 + 12 * entry
        tag, kind, count = struct.unpack_from(f'{order}HHI', tiff, place)
        if kind in TIFF_INTEGERS:
            letter, size = TIFF_INTEGERS[kind]
            at = place + 8 if count * size <= 4 else struct.unpack_from(f'{order}I', tiff, place + 8)[0]
            tags[tag] = struct.unpack_from(f'{order}{letter}', tiff, at)[0]
    return tags


def _tiff(data: bytes) -> Header:
    tags = _tags(data)
    return Header('TIFF', tags[WIDTH], tags[HEIGHT], tags.get(SAMPLES, 1), tags.get(BITS, 1),
                  floats=tags.get(SAMPLE_FORMAT, 1) == 3)


def _png(data: bytes) -> Header:
    width, height, bits, colours = struct.unpack_from('>IIBB', data, 16)
    return Header('PNG', width, height, PNG_CHANNELS[colours], bits)


def _bmp(data: bytes) -> Header:
    width, height, _, bits = struct.unpack_from('<iiHH', data, 18)
    return Header('BMP', abs(width), abs(height), 4 if bits == 32 else 3)


def _gif(data: bytes) -> Header:
    return Header('GIF', *struct.unpack_from('<HH', data, 6), 3)


def _webp(data: bytes) -> Optional[Header]:
    kind = data[12:16]
    if data[8:12] != b'WEBP' or kind not in (b'VP8 ', b'VP8L', b'VP8X'):
        return None
    if kind == b'VP8 ':
        width, height = struct.unpack_from('<HH', data, 26)
        return Header('WebP', width & 0x3FFF, height & 0x3FFF, 3)
    if kind == b'VP8L':
        packed = struct.unpack_from('<I', data, 21)[0]
        return Header('WebP', (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1, 4 if packed >> 28 & 1 else 3)
    sides = (int.from_bytes(data[place:place + 3], 'little') + 1 for place in (24, 27))
    return Header('WebP', *sides, 4 if data[20] & 0x10 else 3)


KINDS: Dict[bytes, Callable[[bytes], Optional[Header]]] = {
    b'II*\0': _tiff, b'MM\0*': _tiff,
    b'\xff\xd8\xff': _jpeg, b'\x89PNG\r\n\x1a\n': _png, b'BM': _bmp, b'GIF8': _gif, b'RIFF': _webp}
