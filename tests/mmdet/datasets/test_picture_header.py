"""What headers say is what OpenCV decodes."""
from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdet.datasets.picture_header import KINDS, header_of


def encoded(suffix, pixels, *options):
    return cv2.imencode(suffix, pixels, list(options))[1].tobytes()


@pytest.mark.parametrize('suffix, kind', [('.jpg', 'JPEG'), ('.png', 'PNG'), ('.bmp', 'BMP'), ('.webp', 'WebP'),
                                          ('.tiff', 'TIFF')])
@pytest.mark.parametrize('size', [(1, 1), (33, 64), (481, 240)])
def test_size_and_kind(natural_picture, suffix, kind, size):
    header = header_of(encoded(suffix, natural_picture(1, *size)))
    assert (header.kind, header.height, header.width, header.channels, header.bits) == (kind, *size, 3, 8)
    assert header.shown == (size[1], size[0]) and header.whole


def test_a_gif(natural_picture):
    if not cv2.haveImageWriter('.gif'):
        pytest.skip('this OpenCV writes no GIF')
    header = header_of(encoded('.gif', natural_picture(1, 40, 64)))
    assert (header.kind, header.height, header.width) == ('GIF', 40, 64)


@pytest.mark.parametrize('mode', [cv2.IMWRITE_WEBP_QUALITY])
def test_a_webp_without_loss_and_with_alpha(natural_picture, mode):
    pixels = np.dstack([natural_picture(1, 21, 43), np.full((21, 43), 128, np.uint8)])
    header = header_of(encoded('.webp', pixels, mode, 101))  # above 100: without loss
    assert (header.kind, header.height, header.width, header.channels) == ('WebP', 21, 43, 4)


@pytest.mark.parametrize('channels, dtype, expected', [(1, np.uint8, (1, 8)), (4, np.uint8, (4, 8)), (3, np.uint16, (3, 16)),
                                                       (1, np.uint16, (1, 16))])
def test_channels_and_bits_of_a_png(channels, dtype, expected):
    header = header_of(encoded('.png', np.full((5, 7, channels), 9, dtype)))
    assert (header.channels, header.bits) == expected


def test_a_grey_jpeg_and_a_progressive_one(natural_picture):
    assert header_of(encoded('.jpg', natural_picture(2)[..., 0])).channels == 1
    progressive = header_of(encoded('.jpg', natural_picture(2), cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    assert (progressive.height, progressive.width, progressive.whole) == (240, 320, True)


@pytest.mark.parametrize('order', ['II', 'MM'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation(natural_picture, jpeg_bytes, with_orientation, order, orientation):
    data = with_orientation(jpeg_bytes(natural_picture(0)), orientation, order)
    header, shown = header_of(data), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert header.orientation == orientation
    assert header.shown == shown.shape[1::-1]  # as OpenCV shows it


def test_a_jpeg_without_its_end_is_not_whole_even_if_it_carries_a_preview(natural_picture, jpeg_bytes):
    small, large = jpeg_bytes(natural_picture(0, 30, 40)), jpeg_bytes(natural_picture(1))
    block = b'Exif\0\0' + small  # has an end of its own
    data = large[:2] + b'\xff\xe1' + struct.pack('>H', len(block) + 2) + block + large[2:]
    assert header_of(data).whole and header_of(data).width == 320
    for cut in (1, 2, 100, len(large) // 2):
        assert not header_of(data[:-cut]).whole
    assert header_of(data + b'\0' * 512).whole  # as some cameras and copies leave it


@given(st.sampled_from([*KINDS]), st.binary(max_size=200))
def test_noise_is_no_header_or_some_header_and_never_an_exception(mark, noise):
    header = header_of(mark + noise)
    assert header is None or (header.width >= 0 and header.height >= 0)


@given(st.data())
def test_a_header_with_wrong_bytes_is_never_an_exception(jpeg_bytes, natural_picture, data):
    content = bytearray(jpeg_bytes(natural_picture(3, 40, 50)))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, min(700, len(content) - 1)))] = data.draw(st.integers(0, 255))
    header_of(bytes(content[:data.draw(st.integers(0, len(content)))]))
