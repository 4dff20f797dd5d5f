"""tools/make_demo_data.py: a true COCO layout, the same bytes from the same seed, and nothing deleted or half made."""
from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / 'tools' / 'make_demo_data.py'
spec = importlib.util.spec_from_file_location('make_demo_data', SCRIPT)
demo = importlib.util.module_from_spec(spec)
spec.loader.exec_module(demo)

TRAIN, VAL, SEED = 40, 6, 1


@pytest.fixture(scope='module')
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('data') / 'demo'
    assert demo.make_dataset(folder, TRAIN, VAL, SEED)
    return folder


def annotations(folder: Path, split: str = 'train') -> dict:
    return json.loads((folder / 'annotations' / f'instances_{split}2017.json').read_text())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_the_folder_is_a_coco_dataset(dataset):
    for split, count in (('train', TRAIN), ('val', VAL)):
        content = annotations(dataset, split)
        assert [image['id'] for image in content['images']] == list(range(1, count + 1))
        assert [note['id'] for note in content['annotations']] == list(range(1, len(content['annotations']) + 1))
        assert [c['name'] for c in content['categories']] == list(demo.CLASSES)
        assert [c['id'] for c in content['categories']] == list(range(1, len(demo.CLASSES) + 1))
        for image in content['images']:
            picture = cv2.imread(str(dataset / f'{split}2017' / image['file_name']))
            assert picture.shape == (image['height'], image['width'], 3)


def test_boxes_lie_within_their_picture_and_hold_their_area(dataset):
    content = annotations(dataset)
    images = {image['id']: image for image in content['images']}
    for note in content['annotations']:
        x, y, width, height = note['bbox']
        image = images[note['image_id']]
        assert x >= 0 and y >= 0 and x + width <= image['width'] and y + height <= image['height']
        assert min(width, height) >= 8
        assert 0 < note['area'] <= width * height
        assert note['iscrowd'] == 0 and 1 <= note['category_id'] <= len(demo.CLASSES)


def test_there_are_all_classes_several_sizes_and_pictures_without_objects(dataset):
    content = annotations(dataset)
    counts = Counter(note['image_id'] for note in content['annotations'])
    assert {note['category_id'] for note in content['annotations']} == set(range(1, len(demo.CLASSES) + 1))
    assert len({(image['width'], image['height']) for image in content['images']}) > 3
    assert max(counts.values()) <= demo.MOST_OBJECTS
    assert 0 < TRAIN - len(counts) < TRAIN / 4


@pytest.mark.parametrize('name', demo.CLASSES)
def test_a_box_is_the_smallest_around_its_shape(name):
    mask = demo.draw_shape(name, (100, 80), (50.0, 40.0), 30.0, 0.0) > 0.5
    x, y, width, height = demo.describe(0, mask)['bbox']
    assert (x, y, width, height) == pytest.approx((35, 25, 30, 30), abs=1.5)
    assert mask[y:y + height, x:x + width].sum() == mask.sum()


def test_objects_differ_from_their_background_in_colour():
    rng = np.random.default_rng(0)
    behind = np.full((10, 3), 120.0)
    distances = [np.linalg.norm(demo.choose_color(rng, behind) - 120) for _ in range(300)]
    assert np.mean(np.array(distances) > demo.MIN_CONTRAST) > 0.93


def test_no_object_is_hidden_too_much():
    owner = np.zeros((80, 80), int)  # one object fills the picture: a new one may take a fifth of it
    for seed in range(20):
        placed = demo.place_shape(np.random.default_rng(seed), owner, [owner.size])
        assert placed is not None
        assert np.count_nonzero(placed[1] > 0.5) <= (1 - demo.MIN_VISIBLE) * owner.size


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(dataset, tmp_path):
    demo.make_dataset(tmp_path / 'again', TRAIN, VAL, SEED)
    demo.make_dataset(tmp_path / 'other', 2, 1, SEED + 1)
    again, other = contents(tmp_path / 'again'), contents(tmp_path / 'other')
    assert again == contents(dataset)
    assert other['train2017/000000000001.jpg'] != again['train2017/000000000001.jpg']
    assert again['train2017/000000000001.jpg'] != again['val2017/000000000001.jpg']


def test_a_complete_dataset_is_left_as_it_is(dataset, capsys):
    before = {path: path.stat().st_mtime_ns for path in dataset.rglob('*')}
    assert demo.main(['--out', str(dataset), '--train', str(TRAIN), '--val', str(VAL), '--seed', str(SEED)]) == 0
    assert 'already there, nothing to do' in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in dataset.rglob('*')}


def test_a_dataset_of_other_parameters_is_refused_in_one_line(dataset, capsys):
    before = contents(dataset)
    assert demo.main(['--out', str(dataset), '--train', '3', '--val', '1']) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and "'train': 40" in error and 'choose another --out' in error
    assert contents(dataset) == before


@pytest.mark.parametrize('make', [
    lambda out: (out.mkdir(), (out / 'mine.txt').write_text('keep')),
    lambda out: out.write_text('keep'),
], ids=['folder', 'file'])
def test_something_else_under_that_name_is_refused_and_kept(tmp_path, capsys, make):
    out = tmp_path / 'demo'
    make(out)
    assert demo.main(['--out', str(out), '--train', '1', '--val', '1']) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and 'is not a demo dataset' in error
    assert (out / 'mine.txt' if out.is_dir() else out).read_text() == 'keep'


def test_a_dataset_that_lost_pictures_is_not_taken_for_complete(tmp_path):
    out = tmp_path / 'demo'
    demo.make_dataset(out, 2, 1, 0)
    (out / 'train2017' / '000000000001.jpg').unlink()
    with pytest.raises(demo.DemoDataError, match='train files are missing'):
        demo.make_dataset(out, 2, 1, 0)


def test_an_interrupted_run_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr(demo, 'describe', interrupt)
    with pytest.raises(KeyboardInterrupt):
        demo.make_dataset(tmp_path / 'demo', 3, 1, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('flag, value', [('--train', '0'), ('--val', '-1'), ('--seed', 'x'), ('--train', '1.5')])
def test_a_number_that_makes_no_sense_is_refused(tmp_path, capsys, flag, value):
    with pytest.raises(SystemExit) as stopped:
        demo.main(['--out', str(tmp_path / 'demo'), flag, value])
    assert stopped.value.code == 2
    assert 'expected a whole number' in capsys.readouterr().err
