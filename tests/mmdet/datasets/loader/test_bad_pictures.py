"""Pictures that cannot be used and are to be skipped: others take their places, they are counted, and nothing else changes."""
from __future__ import annotations

import pytest

from mmcv_need.errors import DataError
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.loader.bad_pictures import REPLACED, TRIES, BadPictures
from mmdet.datasets.loader.data_loader import eval_loader, train_loader
from mmdet.datasets.pipelines.formatting import Collect
from mmdet.datasets.pipelines.geometric import RandomFlip, Resize
from mmdet.datasets.pipelines.loading import LoadAnnotations, LoadImageFromFile
from mmdet.datasets.wrappers import ConcatDataset, RepeatDataset

COUNT = 12


@pytest.fixture
def dataset(tmp_path, coco_folder):
    """Twelve pictures, wide and tall ones in turns, of which some are cut short."""
    def make(*bad, test_mode=False):
        boxes = [dict(image_id=i, category_id=10, bbox=[3, 4, 20, 15]) for i in range(1, COUNT + 1)]
        path = coco_folder(tmp_path, [(60, 40), (40, 60)] * (COUNT // 2), boxes, pictures=True)
        for number in bad:
            file = tmp_path / f'{number:03}.png'
            file.write_bytes(file.read_bytes()[:300])
        steps = [LoadAnnotations(), RandomFlip(0.5)] if not test_mode else []
        keys = ['img'] if test_mode else ['img', 'gt_bboxes', 'gt_labels']
        return CocoDataset(str(path), [LoadImageFromFile(), *steps, Resize((32, 24), keep_ratio=False), Collect(keys)],
                           img_prefix=str(tmp_path), test_mode=test_mode)
    return make


def samples(loader, epochs=2):
    """(picture, flipped, what it replaces) of every sample, in order."""
    found = []
    for epoch in range(epochs):
        loader.set_epoch(epoch)
        found += [(meta['ori_filename'], meta['flip'], meta.get(REPLACED)) for batch in loader for meta in batch['img_metas']]
    return found


@pytest.mark.filterwarnings('ignore:This DataLoader will create', 'ignore:This process .* is multi-threaded, use of fork')
@pytest.mark.filterwarnings('ignore:skipped:UserWarning')
@pytest.mark.parametrize('workers', [0, 2])
def test_another_picture_of_its_kind_takes_its_place_and_all_others_stay_as_they_are(dataset, workers):
    whole = samples(train_loader(dataset(), 2, 0, seed=5))
    found = dataset(3, 8)
    skipping = samples(train_loader(found, 2, workers, seed=5, bad=BadPictures(found, 1.0)))
    assert len(skipping) == len(whole)
    instead = {}
    for (name, flip, _), (got, got_flip, reason) in zip(whole, skipping):
        if name in ('003.png', '008.png'):
            assert name in reason and 'a damaged one' in reason
            assert got not in ('003.png', '008.png') and int(got[:3]) % 2 == int(name[:3]) % 2  # wide for wide, tall for tall
            instead.setdefault(name, set()).add(got)
        else:
            assert (got, got_flip, reason) == (name, flip, None)
    assert {len(names) for names in instead.values()} == {1}  # the same one in every epoch


def test_without_the_policy_it_is_an_error(dataset):
    with pytest.raises(DataError, match=r'003\.png: not a picture that OpenCV can decode, or a damaged one'):
        samples(train_loader(dataset(3), 2, 0, seed=5))


def test_it_is_told_once_and_listed_once(dataset, tmp_path):
    found, path = RepeatDataset(dataset(3, 8), 2), tmp_path / 'bad.txt'
    bad = BadPictures(found, 1.0, str(path))
    with pytest.warns(UserWarning) as told:
        samples(train_loader(found, 2, 0, seed=5, bad=bad))
    lines = path.read_text().splitlines()
    assert len(lines) == len(told) == 2 and all(any(name in line for line in lines) for name in ('003.png', '008.png'))
    assert sorted(str(warning.message)[:20] for warning in told) == ['skipped (1 of up to ', 'skipped (2 of up to ']


@pytest.mark.filterwarnings('ignore:skipped:UserWarning')
def test_more_than_may_be_skipped_is_an_error_that_says_where_they_are_listed(dataset, tmp_path):
    found, path = dataset(3, 8), tmp_path / 'bad.txt'
    with pytest.raises(DataError) as error:
        samples(train_loader(found, 2, 0, seed=5, bad=BadPictures(found, 0.001, str(path))))
    assert f'1 of {COUNT} pictures (data.max_bad_data=0.001)' in str(error.value) and str(path) in str(error.value)
    assert len(path.read_text().splitlines()) == 2


def test_a_repeated_picture_counts_once_for_what_may_be_skipped(dataset):
    found = dataset()
    assert BadPictures(RepeatDataset(ConcatDataset([found, found]), 50), 0.25).limit == 2 * COUNT // 4
    assert BadPictures(found, 0.0).limit == 1


def test_pictures_that_are_all_bad_are_an_error(dataset):
    found = dataset(*range(1, COUNT + 1))
    with pytest.raises(DataError, match=f'{TRIES} pictures that might take its place cannot be used either'):
        samples(train_loader(found, 2, 0, seed=5, bad=BadPictures(found, 1.0)))


@pytest.mark.filterwarnings('ignore:skipped:UserWarning')
def test_in_a_test_the_batch_says_which_picture_was_not_seen(dataset):
    found = dataset(3, test_mode=True)
    seen = samples(eval_loader(found, 3, 0, bad=BadPictures(found, 1.0)), epochs=1)
    assert [bool(reason) for _, _, reason in seen] == [name == 3 for name in range(1, COUNT + 1)]
