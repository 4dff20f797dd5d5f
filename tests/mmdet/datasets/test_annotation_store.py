"""The store of an annotation file: one parse for all, and what becomes of it when either file changes."""
from __future__ import annotations

import os
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

from mmdet.datasets import annotation_store as store
from mmdet.datasets.annotation_store import SUFFIX, stored
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.coco_reader import parse

OLD = 10**9  # seconds since 1970: a time of change long ago


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(store, 'SMALL', 0)
    return tmp_path / 'cache' / 'mmdet-ssd'


@pytest.fixture
def annotations(tmp_path, coco_folder):
    """Writes an annotation file with so many boxes, of any age, and returns its path."""
    def write(boxes=7, age=OLD):
        items = [dict(image_id=1 + i % 3, category_id=10 + 10 * (i % 2), bbox=[i, 2.5, 30, 40]) for i in range(boxes)]
        path = str(coco_folder(tmp_path, [(100, 80)] * 3, items))
        os.utime(path, (age, age))
        return path
    return write


class Counting:
    """The parser, and how often it was asked."""

    def __init__(self):
        self.count = 0

    def __call__(self, path):
        self.count += 1
        return parse(path)


def assert_same(ours, theirs):
    for name, one, other in zip(('columns', 'xywh', 'areas', 'crowds'), ours, theirs):
        for array, expected in zip(one if name == 'columns' else [one], other if name == 'columns' else [other]):
            np.testing.assert_array_equal(array, expected)
            assert array.dtype == expected.dtype
    assert ours[4:] == theirs[4:]


@pytest.mark.parametrize('boxes', [0, 7])
def test_a_table_is_parsed_once_and_read_back_as_it_was(annotations, boxes):
    path, counting = annotations(boxes), Counting()
    for _ in range(3):
        assert_same(stored(path, counting), parse(path))
    assert counting.count == 1
    table = stored(path, counting)
    assert not any(column.flags.writeable or column.flags.owndata for column in table.columns)  # mapped, not read


@pytest.mark.parametrize('mode', [0o644, 0o640, 0o600])
def test_a_store_is_readable_by_whom_its_json_is(annotations, mode):
    path = annotations()
    os.chmod(path, mode)
    stored(path, parse)
    assert os.stat(path + SUFFIX).st_mode & 0o777 == mode & ~umask()


def umask():
    found = os.umask(0)
    os.umask(found)
    return found


def test_a_small_file_has_no_store(annotations, monkeypatch):
    monkeypatch.setattr(store, 'SMALL', 10**6)
    path = annotations()
    assert_same(stored(path, parse), parse(path))
    assert os.listdir(os.path.dirname(path)) == ['annotations.json']


def test_a_file_that_changes_while_it_is_read_is_not_stored(annotations):
    def slowly(path):
        table = parse(path)
        with open(path, encoding='utf-8') as file:
            text = file.read().replace('2.5', '3.5')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return table

    path = annotations()
    assert stored(path, slowly).xywh[0, 1] == 2.5
    assert stored(path, parse).xywh[0, 1] == 3.5


@pytest.mark.parametrize('make', [os.mkfifo, lambda place: os.symlink('annotations.json', place)], ids=['pipe', 'link'])
def test_a_pipe_or_a_link_in_its_place_is_replaced(annotations, make):
    path, counting = annotations(), Counting()
    make(path + SUFFIX)
    for _ in range(2):
        assert_same(stored(path, counting), parse(path))
    assert counting.count == 1 and not os.path.islink(path + SUFFIX)


def test_another_time_of_change_alone_costs_no_parse(annotations):
    path, counting = annotations(), Counting()
    stored(path, counting)
    os.utime(path, (OLD + 1, OLD + 1))
    assert_same(stored(path, counting), parse(path))
    before = os.stat(path + SUFFIX).st_mtime_ns
    stored(path, counting)
    assert counting.count == 1 and os.stat(path + SUFFIX).st_mtime_ns == before  # the new time is noted, and stays


@pytest.mark.parametrize('age', [OLD, None])
def test_another_content_of_the_same_size_is_noticed(annotations, age):
    """Though the time may be the same, if the file is so young that its clock may not have moved."""
    path, counting = annotations(age=age or time.time()), Counting()
    moment = os.stat(path).st_mtime_ns
    stored(path, counting)
    with open(path, encoding='utf-8') as file:
        text = file.read().replace('2.5', '3.5')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    if age is None:
        os.utime(path, ns=(moment, moment))
    assert stored(path, counting).xywh[0, 1] == 3.5 and counting.count == 2


def test_a_damaged_store_is_made_anew(annotations):
    path, counting = annotations(), Counting()
    stored(path, counting)
    with open(path + SUFFIX, 'rb') as file:
        sound = file.read()
    expected = parse(path)
    damaged = [sound[:length] for length in (0, 1, 10, 25, 40, 300, len(sound) // 2, len(sound) - 1)]
    damaged += [bytes([*sound[:place], sound[place] ^ 1 << bit, *sound[place + 1:]])
                for bit, place in enumerate(np.linspace(0, len(sound) - 1, 8).astype(int).tolist())]
    for place in range(0, len(sound), 37):
        damaged.append(bytes([*sound[:place], sound[place] ^ 0x55, *sound[place + 1:]]))
    for content in damaged:
        with open(path + SUFFIX, 'wb') as file:
            file.write(content)
        assert_same(stored(path, counting), expected)
    assert counting.count > len(damaged) // 2  # a bit of padding, or of the noted time, may well be another


@pytest.mark.parametrize('forge', [
    lambda table: table._replace(columns=table.columns._replace(first=table.columns.first[::-1])),
    lambda table: table._replace(columns=table.columns._replace(first=table.columns.first + 1)),
    lambda table: table._replace(columns=table.columns._replace(first=table.columns.first[:-1])),
    lambda table: table._replace(columns=table.columns._replace(name_ends=table.columns.name_ends * 2)),
    lambda table: table._replace(columns=table.columns._replace(labels=table.columns.labels + 10**6)),
    lambda table: table._replace(columns=table.columns._replace(labels=table.columns.labels - 5)),
    lambda table: table._replace(columns=table.columns._replace(kinds=table.columns.kinds[:3])),
    lambda table: table._replace(columns=table.columns._replace(sizes=table.columns.sizes[:1])),
    lambda table: table._replace(xywh=table.xywh[:2]), lambda table: table._replace(categories=None)])
def test_a_store_that_leads_out_of_its_arrays_is_made_anew(annotations, forge):
    """With sound checksums, as somebody may write it on purpose."""
    path, counting = annotations(), Counting()
    store._keep([path + SUFFIX], parse(path), store._key(path), store._digest(path))
    stored(path, counting)
    assert counting.count == 0
    with suppress(ValueError, TypeError):  # which reading it back ends in
        store._keep([path + SUFFIX], forge(parse(path)), store._key(path), store._digest(path))
    assert_same(stored(path, counting), parse(path))
    assert counting.count == 1


def test_a_folder_that_takes_no_file_sends_the_store_to_the_cache(annotations, cache):
    path, counting = annotations(), Counting()
    os.mkdir(path + SUFFIX)
    for _ in range(2):
        assert_same(stored(path, counting), parse(path))
    assert counting.count == 1 and [name.startswith('annotations.json.') for name in os.listdir(cache)] == [True]


def test_without_any_place_a_line_says_that_each_run_parses(annotations, tmp_path):
    path, counting = annotations(), Counting()
    os.mkdir(path + SUFFIX)
    (tmp_path / 'cache').write_text('a file where a folder should be')
    for _ in range(2):
        with pytest.warns(UserWarning, match=r'annotations.json: its annotations cannot be stored .*\(.*cache'):
            assert_same(stored(path, counting), parse(path))
    assert counting.count == 2


def test_one_process_parses_while_the_others_wait(annotations):
    path, counting, found = annotations(), Counting(), []

    def slowly(path):
        time.sleep(0.3)
        return counting(path)

    threads = [threading.Thread(target=lambda: found.append(stored(path, slowly))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counting.count == 1 and len(found) == 4
    for table in found:
        assert_same(table, parse(path))


def test_what_a_killed_process_left_is_cleared_away(annotations):
    path = annotations()
    with open(f'{path}{SUFFIX}.tmp.123', 'w', encoding='utf-8') as file:
        file.write('half of it')
    stored(path, parse)
    assert sorted(os.listdir(os.path.dirname(path))) == ['annotations.json', 'annotations.json' + SUFFIX]


def test_a_disk_that_fills_up_leaves_nothing_behind(annotations, monkeypatch):
    def full(descriptor):
        raise OSError(28, 'No space left on device')

    path = annotations()
    monkeypatch.setattr(store.os, 'fsync', full)
    with pytest.warns(UserWarning, match='No space left on device'):
        assert_same(stored(path, parse), parse(path))
    assert sorted(os.listdir(os.path.dirname(path))) == ['annotations.json', 'cache']


def test_a_file_with_faults_is_not_stored(annotations, tmp_path):
    """It serves those who want other classes."""
    path = annotations()
    with open(path, encoding='utf-8') as file:
        text = file.read().replace('[1, 2.5, 30, 40]', '[1, 2.5, 30]')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    for _ in range(2):
        assert len(CocoDataset(path, [], classes=['cat'])) == 3
        with pytest.raises(ValueError, match=r'annotations\[1\]\.bbox is \[1, 2\.5, 30\]; expected four numbers'):
            CocoDataset(path, [], classes=['cat', 'dog'])
    assert not os.path.exists(path + SUFFIX)


def test_processes_that_share_a_store_hold_nothing_of_the_boxes_themselves(annotations):
    found = CocoDataset(annotations(), [])
    assert all(not column.flags.owndata for column in found.annotations.columns)
    assert found.annotations.chosen.dtype == np.uint8  # three pictures
