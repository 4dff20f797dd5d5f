"""Several threads look at picture files, wherever that is; what they find is in tests/tools/test_check_dataset.py."""
from __future__ import annotations

import pytest

from mmcv_need import cores
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.picture_check import check_pictures
from mmdet.datasets.pipelines.loading import LoadImageFromFile


@pytest.mark.parametrize('processes', [1, 1000])
def test_a_process_that_has_less_than_a_core_to_itself_looks_too(coco_folder, tmp_path, monkeypatch, processes):
    monkeypatch.setattr(cores, '_shared_by', processes)
    path = coco_folder(tmp_path, [(60, 40), (40, 60)], [dict(image_id=1, category_id=10, bbox=[3, 4, 20, 15])], pictures=True)
    dataset = CocoDataset(str(path), [LoadImageFromFile()], img_prefix=str(tmp_path), test_mode=True)
    assert [len(found) for found in check_pictures(dataset, range(2))] == [0, 0]
