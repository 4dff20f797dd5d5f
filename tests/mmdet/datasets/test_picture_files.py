"""Picture files that cannot be used say why; those that can are what they seem."""
from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmcv_need.errors import DataError
from mmdet.datasets.picture_check import PICTURE_NOTES, UNUSABLE, check_picture, notes_of
from mmdet.datasets.picture_files import decode_image, read_image
from mmdet.datasets.picture_header import header_of
from mmdet.datasets.pipelines import Sample
from mmdet.datasets.pipelines.loading import LoadImageFromFile

ROOT = Path(__file__).resolve().parents[3]
NAMES = ['missing', 'named in other letters', 'a folder', 'a link to nothing', 'a pipe', 'empty', 'a page of HTML', 'zeros',
         'a pointer of git lfs', 'an archive', 'noise', 'half a JPEG', 'a JPEG without its last bytes',
         'the beginning of a JPEG', 'half a PNG', 'a damaged PNG', 'numbers, not colours', 'of another size',
         'turned by EXIF data', 'a bomb of 144 million pixels']
GROWTH = '''
import resource, sys
sys.path.insert(0, sys.argv[1])
from mmcv_need.errors import DataError
from mmdet.datasets.picture_files import read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_image(sys.argv[2])
except DataError as error:
    print(error)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
'''


def refused(action, *arguments) -> str:
    with pytest.raises(DataError) as error:
        action(*arguments)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_the_table_has_twenty_kinds(bad_pictures):
    assert list(bad_pictures) == NAMES and len(NAMES) == 20


@pytest.mark.parametrize('name', NAMES)
def test_a_picture_that_cannot_be_used_is_an_error_that_names_the_file(bad_pictures, natural_picture, tmp_path, name):
    make, words = bad_pictures[name]
    picture, path = natural_picture(0), tmp_path / 'a.jpg'
    make(path, picture)
    info = {'filename': 'a.jpg', 'width': 320, 'height': 240}
    message = refused(LoadImageFromFile(), Sample(img_info=info, img_prefix=str(tmp_path)))
    assert message.startswith(f'{path}: ')
    for word in words:
        assert word in message
    assert check_picture(str(path), info) == [(UNUSABLE, message)]  # and is found by a check


@pytest.mark.parametrize('kept', [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_jpeg_cut_anywhere_never_becomes_grey_pixels(tmp_path, natural_picture, jpeg_bytes, kept):
    data = jpeg_bytes(natural_picture(0))
    (tmp_path / 'cut.jpg').write_bytes(data[:int(len(data) * kept)])
    assert str(tmp_path / 'cut.jpg') in refused(read_image, str(tmp_path / 'cut.jpg'))


def test_bytes_that_are_no_picture_name_where_they_came_from():
    assert refused(decode_image, b'abc', 'upload 7').startswith('upload 7: ')


def test_a_name_with_a_zero_byte_is_no_file():
    assert 'cannot be read' in refused(read_image, 'a\0.jpg')


@pytest.mark.parametrize('name', ['a bomb of 144 million pixels', 'a bomb of 400 million pixels'])
def test_a_bomb_takes_no_memory(bad_pictures, tmp_path, name):
    path = tmp_path / 'bomb.png'
    bad_pictures[NAMES[-1]][0](path, None)
    if '400' in name:
        data = path.read_bytes()
        size = struct.pack('>II', 20000, 20000)
        header = data[12:16] + size + data[24:29]
        path.write_bytes(data[:12] + header + struct.pack('>I', zlib.crc32(header)) + data[33:])
    done = subprocess.run([sys.executable, '-c', GROWTH, str(ROOT), str(path)], capture_output=True, text=True, check=True)
    message, growth = done.stdout.splitlines()
    assert 'more than 100,000,000' in message and int(growth) < 64  # MB


def test_what_opencv_is_told_holds_where_the_header_says_nothing(tmp_path):
    program = ('import sys; sys.path.insert(0, sys.argv[1])\nimport mmdet\nimport cv2, numpy as np\n'
               "data = cv2.imencode('.tiff', np.zeros((200, 200), np.uint8))[1]\nfrom mmdet.datasets.picture_files import *\n"
               "try:\n    decode_image(data.tobytes(), 'a.tiff')\nexcept DataError as error:\n    print(error)")
    done = subprocess.run([sys.executable, '-c', program, str(ROOT)], capture_output=True, text=True, check=True,
                          env={**os.environ, 'OPENCV_IO_MAX_IMAGE_PIXELS': '10000'})
    assert done.stdout.startswith('a.tiff: ')


@pytest.mark.parametrize('info', [{}, {'width': 320, 'height': 240}, {'width': 240, 'height': 320}])
def test_a_record_without_a_size_or_with_that_of_the_picture_on_its_side_will_do(natural_picture, tmp_path, info):
    cv2.imwrite(str(tmp_path / 'a.png'), natural_picture(0))
    LoadImageFromFile()(Sample(img_info={'filename': 'a.png', **info}, img_prefix=str(tmp_path)))


def test_a_turned_picture_whose_record_says_how_it_is_shown_will_do(natural_picture, jpeg_bytes, with_orientation, tmp_path):
    (tmp_path / 'a.jpg').write_bytes(with_orientation(jpeg_bytes(natural_picture(0)), 6))
    info = {'filename': 'a.jpg', 'width': 240, 'height': 320}
    LoadImageFromFile()(Sample(img_info=info, img_prefix=str(tmp_path)))
    assert [kind for kind, _ in check_picture(str(tmp_path / 'a.jpg'), info)] == [PICTURE_NOTES[4]]


@pytest.mark.parametrize('name, pixels, noted', [
    ('grey.jpg', np.zeros((20, 30), np.uint8), 0), ('grey.png', np.zeros((20, 30), np.uint8), 0),
    ('alpha.png', np.zeros((20, 30, 4), np.uint8), 1), ('deep.png', np.zeros((20, 30, 3), np.uint16), 3),
    ('on_its_side.png', np.zeros((30, 20, 3), np.uint8), 5)])
def test_what_is_odd_about_a_picture_is_noted(tmp_path, name, pixels, noted):
    cv2.imwrite(str(tmp_path / name), pixels)
    found = check_picture(str(tmp_path / name), {'width': 30, 'height': 20})
    assert [kind for kind, _ in found] == [PICTURE_NOTES[noted]]
    assert all(str(tmp_path / name) in message for _, message in found)


def test_a_picture_in_four_inks_and_one_that_is_named_for_another_kind_are_noted(natural_picture, jpeg_bytes, tmp_path):
    inks = bytearray(jpeg_bytes(natural_picture(0)))
    place = inks.index(b'\xff\xc0') + 9
    assert inks[place] == 3  # channels
    inks[place] = 4
    assert notes_of('a.jpg', header_of(bytes(inks))) == [PICTURE_NOTES[2]]
    assert notes_of('a.png', header_of(jpeg_bytes(natural_picture(0)))) == [PICTURE_NOTES[6]]
    assert notes_of('a.JPEG', header_of(jpeg_bytes(natural_picture(0)))) == []
