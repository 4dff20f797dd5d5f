"""CocoDataset: which pictures and boxes of a file there are, under which labels, and what it says of a file with faults."""
from __future__ import annotations

import json

import numpy as np
import pytest

from mmcv_need.errors import ConfigError, DataError
from mmdet.apis.results import coco_results
from mmdet.core.evaluation.coco_metric import CocoMetric
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.coco_classes import COCO_CLASSES
from mmdet.datasets.pipelines.formatting import Collect
from mmdet.datasets.pipelines.loading import LoadAnnotations, LoadImageFromFile
from mmdet.datasets.wrappers import RepeatDataset

WIDE, TALL, TINY = (100, 80), (80, 100), (31, 100)
NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


def box(image=1, category=10, bbox=(10, 20, 30, 40), **more):
    return dict(image_id=image, category_id=category, bbox=list(bbox), **more)


@pytest.fixture
def dataset(tmp_path, coco_folder):
    def make(annotations=(), images=(WIDE, ), categories=('cat', 'dog', 'horse'), **arguments):
        path = coco_folder(tmp_path, images, annotations, categories)
        return CocoDataset(str(path), arguments.pop('pipeline', []), **arguments)
    return make


def refused(action, *arguments, **named) -> str:
    with pytest.raises(DataError) as error:
        action(*arguments, **named)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_boxes_are_corners_in_float32_and_not_clipped(dataset):
    found = dataset([box(bbox=(-5.5, 20, 200, 40.25)), box(category=30)]).get_ann_info(0)
    assert found['bboxes'].tolist() == [[-5.5, 20, 194.5, 60.25], [10, 20, 40, 60]] and found['bboxes'].dtype == np.float32
    assert found['labels'].tolist() == [0, 2] and found['labels'].dtype == np.int64
    assert found['bboxes_ignore'].shape == (0, 4)


def test_crowds_are_ignored_boxes(dataset):
    found = dataset([box(iscrowd=1, bbox=(0, 0, 50, 50)), box()]).get_ann_info(0)
    assert found['bboxes'].tolist() == [[10, 20, 40, 60]]
    assert found['bboxes_ignore'].tolist() == [[0, 0, 50, 50]] and found['labels'].tolist() == [0]


@pytest.mark.parametrize('left_out', [
    box(ignore=1), box(ignore=True, iscrowd=1), box(bbox=(100, 0, 20, 20)), box(bbox=(-20, 0, 20, 20)),
    box(bbox=(0, 80, 20, 20)), box(bbox=(0, -20, 20, 20)), box(bbox=(1, 1, 0.99, 20)), box(bbox=(1, 1, 20, 0.5)),
    box(area=0), box(area=-1), box(category=99)],
    ids=['ignore', 'ignored crowd', 'right', 'left', 'below', 'above', 'narrow', 'flat', 'no area', 'negative area', 'foreign'])
def test_left_out_as_in_mmdetection(dataset, left_out):
    found = dataset([box(bbox=(1, 2, 3, 4)), left_out, box(category=20)]).get_ann_info(0)
    assert found['bboxes'].tolist() == [[1, 2, 4, 6], [10, 20, 40, 60]]
    assert found['labels'].tolist() == [0, 1] and not len(found['bboxes_ignore'])


def test_a_box_of_one_pixel_and_one_that_just_touches_are_kept(dataset):
    found = dataset([box(bbox=(5, 5, 1, 1)), box(bbox=(99.5, 79.5, 20, 20)), box(bbox=(-19.5, -19.5, 20, 20))]).get_ann_info(0)
    assert len(found['bboxes']) == 3


def test_a_missing_area_is_that_of_the_box(tmp_path, coco_folder):
    path = coco_folder(tmp_path, [WIDE], [box(), box(bbox=(0, 0, 5, 5))])
    content = json.loads(path.read_text())
    del content['annotations'][0]['area'], content['annotations'][0]['iscrowd']
    content['annotations'][1]['area'] = None
    path.write_text(json.dumps(content))
    assert len(CocoDataset(str(path), []).get_ann_info(0)['bboxes']) == 2


def test_boxes_find_their_pictures_in_whatever_order_they_stand(dataset):
    boxes = [box(image=image, bbox=(i, i, 10, 10)) for i, image in enumerate([3, 1, 3, 2, 1, 3], 1)]
    found = dataset(boxes, [WIDE] * 4, filter_empty_gt=False)
    assert [found.get_ann_info(i)['bboxes'][:, 0].tolist() for i in range(4)] == [[2, 5], [4], [1, 3, 6], []]


def test_training_leaves_out_small_and_empty_pictures(dataset):
    images = [WIDE, TINY, TALL, WIDE, (32, 32), WIDE]
    boxes = [box(1), box(2), box(3, 20), box(4, 99), box(5), box(6, ignore=1)]
    found = dataset(boxes, images)
    assert found.annotations.ids.tolist() == [1, 3, 5, 6]  # 6: what is left out still counts as annotated, as in MMDetection
    assert found.flag.tolist() == [1, 0, 0, 1]  # wider than high
    assert [found.annotations.info(i)['filename'] for i in range(2)] == ['001.png', '003.png']


def test_pictures_without_boxes_stay_if_asked(dataset):
    found = dataset([box(1)], [WIDE, TINY, TALL], filter_empty_gt=False)
    assert found.annotations.ids.tolist() == [1, 3]
    assert found.get_ann_info(1)['bboxes'].shape == (0, 4) and found.get_ann_info(1)['labels'].shape == (0,)


def test_a_test_takes_every_picture_and_gives_no_annotations(dataset):
    seen = []
    found = dataset([box(1)], [WIDE, TINY, TALL], test_mode=True, pipeline=[lambda sample: seen.append(sample) or sample])
    assert len(found) == 3 and found.annotations.ids.tolist() == [1, 2, 3]
    found[1]
    assert 'ann_info' not in seen[0] and seen[0]['img_info'] == {'filename': '002.png', 'id': 2, 'width': 31, 'height': 100}


def test_filtering_by_classes_looks_at_the_wanted_ones_only(dataset):
    found = dataset([box(1), box(2, 20), box(3, 30)], [WIDE] * 3, classes=['dog'])
    assert found.annotations.ids.tolist() == [2]
    assert found.get_ann_info(0)['labels'].tolist() == [0]


def test_nothing_left_is_an_error_that_says_what_to_check(dataset):
    for message in (refused(dataset, [box(1, 20)], classes=['cat']), refused(dataset, [box()], [TINY]),
                    refused(dataset, [], []), refused(dataset, [], [TINY], filter_empty_gt=False)):
        assert 'annotations.json' in message and 'classes' in message


def test_a_dataset_gives_the_same_sample_for_the_same_generator(tmp_path, coco_folder):
    path = coco_folder(tmp_path, [WIDE, TALL], [box(1), box(2)], pictures=True)
    found = CocoDataset(path.name, [LoadImageFromFile(), LoadAnnotations(), Collect(['img', 'gt_bboxes', 'gt_labels'])],
                        data_root=str(tmp_path), img_prefix='')
    assert found[1]['img'].shape == (100, 80, 3) and found[1]['img_metas']['ori_filename'] == '002.png'
    again = found.sample(1, np.random.default_rng(0))
    np.testing.assert_array_equal(again['img'], found[1]['img'])
    assert again['img_metas']['filename'] == str(tmp_path / '002.png')


def test_labels_and_names_follow_the_file_not_the_config_and_a_warning_says_so(dataset):
    with pytest.warns(UserWarning) as caught:
        found = dataset([box(1, 30), box(1, 10)], classes=('horse', 'cat'))
    message, = (str(warning.message) for warning in caught)
    assert message.splitlines() == [message] and 'annotations.json: labels follow the order of the file' in message
    assert message.endswith('from label 0 on cat, horse; the order of `classes` is horse, cat')
    assert found.CLASSES == ('cat', 'horse') and found.cat_ids == [10, 30]
    assert found.get_ann_info(0)['labels'].tolist() == [1, 0]


def test_without_classes_all_of_the_file_count(dataset):
    assert dataset([box()]).CLASSES == ('cat', 'dog', 'horse')


def test_without_classes_cocos_eighty_count_where_the_file_has_them(dataset):
    names = ['something else', *reversed(COCO_CLASSES), 'more']
    with pytest.warns(UserWarning, match='from label 0 on toothbrush, .*, ...; the order of COCO is person, bicycle'):
        found = dataset([box(1, 20), box(1, 10)], categories=names)
    assert list(found.CLASSES) == names[1:-1] and len(found.get_ann_info(0)['labels']) == 1
    assert found.get_ann_info(0)['labels'].tolist() == [0]
    assert CocoDataset.CLASSES == COCO_CLASSES and len(set(COCO_CLASSES)) == 80  # the class's own list stays


def test_classes_come_from_a_text_file(dataset, tmp_path):
    (tmp_path / 'names.txt').write_text('cat\n\n  dog  \n', encoding='utf-8')
    assert dataset([box()], classes=str(tmp_path / 'names.txt')).CLASSES == ('cat', 'dog')


def test_a_single_string_is_explained(dataset):
    message = refused(dataset, [box()], classes=('cat'))
    assert "classes='cat'" in message and "classes=('cat', )" in message


@pytest.mark.parametrize('wrong, hint', [('hosre', "Did you mean 'horse'?"), ('Cat', "'cat'"), ('zzz', 'cat, dog, horse')])
def test_a_class_that_the_file_lacks_is_an_error_with_the_nearest_name(dataset, wrong, hint):
    message = refused(dataset, [box()], classes=('dog', wrong))
    assert f"'{wrong}'" in message and hint in message and 'annotations.json' in message


def test_a_class_named_twice_is_refused(dataset):
    with pytest.raises(ConfigError, match=r"^classes: 'cat' occurs twice; name each class once$"):
        dataset([box()], classes=('cat', 'dog', 'cat'))


def test_two_categories_of_one_name_are_two_classes_as_in_mmdetection(dataset):
    found = dataset([box(1, 10), box(1, 20)], categories=('cat', 'cat', 'dog'), classes=('cat', ))
    assert found.cat_ids == [10, 20] and found.get_ann_info(0)['labels'].tolist() == [0, 1]


def faulty(tmp_path, coco_folder, change):
    path = coco_folder(tmp_path, [WIDE, TALL], [box(1), box(2)])
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return str(path)


@pytest.mark.parametrize('change, words', [
    (lambda c: c['annotations'][1].update(image_id=7), ['annotations[1]', 'image_id 7', "'images'"]),
    (lambda c: c['annotations'][1].pop('image_id'), ['annotations[1]', "'image_id'"]),
    (lambda c: c['annotations'][1].pop('category_id'), ['annotations[1]', "'category_id'"]),
    (lambda c: c['annotations'][1].pop('bbox'), ['annotations[1]', "'bbox'"]),
    (lambda c: c['annotations'][1].update(bbox=[1, 2, 3]), ['annotations[1].bbox', '[1, 2, 3]', 'four']),
    (lambda c: c['annotations'][1].update(bbox=[1, 2, '3', 4]), ['annotations[1].bbox', 'four numbers']),
    (lambda c: c['annotations'][1].update(bbox=None), ['annotations[1].bbox', 'None']),
    (lambda c: c['annotations'][1].update(bbox=[1, 2, True, 4]), ['annotations[1].bbox', 'four numbers']),
    (lambda c: c['annotations'][1].update(ignore=1, bbox=[1, 2]), ['annotations[1].bbox is [1, 2]', 'four numbers']),
    (lambda c: (c['annotations'][1].update(ignore=1), c['annotations'][1].pop('bbox')), ["annotations[1] has no 'bbox'"]),
    (lambda c: c['annotations'][1].update(area='81'), ["annotations[1].area is '81'", 'a number of pixels']),
    (lambda c: c['annotations'][1].update(area=True, ignore=1), ['annotations[1].area is True']),
    (lambda c: c['annotations'][1].update(iscrowd='no'), ["annotations[1].iscrowd is 'no'; expected 0 or 1"]),
    (lambda c: c['annotations'][1].update(iscrowd=[]), ['annotations[1].iscrowd is []; expected 0 or 1']),
    (lambda c: c['annotations'][1].update(ignore='no'), ["annotations[1].ignore is 'no'; expected 0 or 1"]),
    (lambda c: c['annotations'][1].update(category_id=[10]), ['annotations[1].category_id is [10]; expected a number']),
    (lambda c: c['annotations'][1].update(category_id='10'), ["annotations[1].category_id is '10'; expected a number"]),
    (lambda c: c['annotations'][1].update(image_id=[2]), ['annotations[1].image_id is [2]; expected a number']),
    (lambda c: c['annotations'][1].update(image_id=True), ['annotations[1].image_id is True; expected a number']),
    (lambda c: c['annotations'][1].update(image_id=['x' * 1000]), ['annotations[1].image_id is', 'expected a number']),
    (lambda c: c['images'][0].update(id=True), ['images[0].id is True', 'whole number']),
    (lambda c: c['images'][1].update(id=-1), ['images[1].id is -1', 'whole number from 0']),  # hotcoco takes none
    (lambda c: c['images'][1].update(id=1e300), ['images[1].id is 1e+300', 'to 2^53']),
    (lambda c: c['images'][1].update(width=True), ['images[1].width is True', 'whole number']),
    (lambda c: c['images'][1].update(file_name=7), ['images[1].file_name is 7; expected text']),
    (lambda c: c['images'][1].update(file_name=None), ['images[1].file_name is None; expected text']),
    (lambda c: c['categories'][1].update(id=[20]), ['categories[1].id is [20]', 'whole number']),
    (lambda c: c['categories'][1].update(id='20'), ["categories[1].id is '20'", 'whole number']),
    (lambda c: c['categories'][1].update(name=7), ['categories[1].name is 7; expected text']),
    (lambda c: c['categories'][1].update(id=10), ['categories[0] and categories[1] have the same id 10']),
    (lambda c: c['images'][1].pop('file_name'), ['images[1]', "'file_name'"]),
    (lambda c: c['images'][1].pop('width'), ['images[1]', "'width'"]),
    (lambda c: c['images'][1].pop('id'), ['images[1]', "'id'"]),
    (lambda c: c['images'][1].update(id='000002'), ["images[1].id is '000002'", 'whole number']),
    (lambda c: c['images'][1].update(width=None), ['images[1].width is None', 'whole number']),
    (lambda c: c['images'][1].update(height=99.5), ['images[1].height is 99.5', 'whole number']),
    (lambda c: c['categories'][1].pop('name'), ['categories[1]', "'name'"]),
    (lambda c: c.update(categories=['cat', 'dog']), ['categories[0]']),
    (lambda c: c.pop('annotations'), ['annotations']),
    (lambda c: c.update(images={}), ['images'])])
def test_a_record_with_a_fault_is_named(tmp_path, coco_folder, change, words):
    path = faulty(tmp_path, coco_folder, change)
    message = refused(CocoDataset, path, [])
    assert message.startswith(path) and all(word in message for word in words), message
    assert len(message) < len(path) + 200


def number_kinds(content):
    """Everything that the reader takes for a number or for yes and no, written in other ways."""
    for image in content['images']:
        image.update(id=float(image['id']), width=float(image['width']))
    for category in content['categories']:
        category.update(id=float(category['id']))
    first, second, third, fourth = content['annotations']
    first.update(image_id=1.0, category_id=10.0, bbox=[10.0, 20, 30, 40], area=1200.5, iscrowd=False, ignore=0)
    second.update(iscrowd=True, ignore=None)
    third.update(iscrowd=None, ignore=True, area=None)
    fourth.update(iscrowd=1.0, bbox='none is needed', area='nor this', category_id=77)


def test_what_the_reader_accepts_can_be_evaluated(tmp_path, coco_folder, evaluator):
    """An error after an epoch of training would come late: the reader and the metric read the same fields."""
    path = coco_folder(tmp_path, [WIDE, TALL], [box(1), box(1, 20), box(2, 20), box(2)])
    content = json.loads(path.read_text())
    number_kinds(content)
    path.write_text(json.dumps(content))
    found = CocoDataset(str(path), [], test_mode=True)
    found._metric = CocoMetric(content, found.annotations.ids, found.cat_ids, found.CLASSES)
    found._metric.evaluator = evaluator
    here = Detections(np.float32([[10, 20, 40, 60]]), np.float32([0.9]), np.array([0]))
    assert found.evaluate([here, NOTHING])['bbox_mAP'] == 0.5  # the cat, and not the dog of the second picture
    assert found.get_ann_info(0)['labels'].tolist() == [0] and found.get_ann_info(0)['labels_ignore'].tolist() == [1]
    assert [found.annotations.info(i)['id'] for i in range(2)] == [1, 2]


@pytest.fixture
def image_info(tmp_path, coco_folder):
    """A file as image_info_test-dev2017.json: pictures and categories, no annotations."""
    path = coco_folder(tmp_path, [WIDE, TINY, TALL])
    content = json.loads(path.read_text())
    del content['annotations']
    path.write_text(json.dumps(content))
    return str(path)


def test_a_test_needs_no_annotations_but_an_evaluation_does(image_info):
    found = CocoDataset(image_info, [], test_mode=True)
    assert len(found) == 3 and found.cat_ids == [10, 20, 30] and found.get_ann_info(2)['bboxes'].shape == (0, 4)
    found.check_metrics([])
    here = Detections(np.float32([[1, 2, 31, 42]]), np.float32([0.5]), np.array([2]))
    assert coco_results([NOTHING, here, NOTHING], found) == [
        {'image_id': 2, 'bbox': [1, 2, 30, 40], 'score': 0.5, 'category_id': 30}]  # for --format-only and --out
    for action in (lambda: found.evaluate([NOTHING] * 3), lambda: found.check_metrics('bbox', where='--eval'), found.truths):
        message = refused(action)
        assert message.startswith(f'{image_info}: has no annotations to evaluate with') and '--out' in message


def test_training_needs_annotations(image_info, tmp_path):
    assert "no annotations found" in refused(CocoDataset, image_info, [])
    content = json.loads((tmp_path / 'annotations.json').read_text())
    (tmp_path / 'annotations.json').write_text(json.dumps({**content, 'annotations': None}))
    assert "no annotations found" in refused(CocoDataset, image_info, [], test_mode=True)


def test_metrics_are_checked_with_their_options(dataset):
    found = dataset([box()])
    found.check_metrics(['bbox', 'proposal'], proposal_nums=[1, 2], iou_thrs=0.5, metric_items='AR@2')
    with pytest.raises(ConfigError, match=r"^a\.py:3: metric 'mAP'"):
        found.check_metrics('mAP', where='a.py:3')
    with pytest.raises(ConfigError, match='AR@3'):
        found.check_metrics([], metric_items='AR@3')


def test_a_missing_file_says_where_coco_goes(tmp_path):
    message = refused(CocoDataset, 'annotations/none.json', [], data_root=str(tmp_path))
    assert str(tmp_path / 'annotations' / 'none.json') in message and 'cocodataset.org' in message


@pytest.mark.parametrize('text, words', [('{"images": [],\n "annotations": }', ':2:'), ('', 'not valid JSON'),
                                         ('[1, 2]', 'not a COCO'),
                                         ('{"images": [], "annotations": [NaN], "categories": []}', 'not valid JSON')])
def test_a_file_that_is_no_coco_json_is_an_error_that_says_where(tmp_path, text, words):
    path = tmp_path / 'broken.json'
    path.write_text(text)
    message = refused(CocoDataset, str(path), [])
    assert str(path) in message and words in message


def test_categories_of_all_annotations_count_also_of_those_left_out(dataset):
    found = dataset([box(1, 30), box(1, 20, ignore=1), box(1, 20, bbox=(-9, -9, 3, 3)), box(2, 10, iscrowd=1), box(2, 99)],
                    [WIDE, WIDE, WIDE], filter_empty_gt=False)
    assert [found.get_cat_ids(i) for i in range(3)] == [[1, 2], [0], []]
    assert found.get_ann_info(1)['labels_ignore'].tolist() == [0] and len(found.truths()) == 3


@pytest.mark.parametrize('table', ['images', 'annotations'])
def test_an_id_that_occurs_twice_is_an_error_that_names_both(tmp_path, coco_folder, table):
    path = coco_folder(tmp_path, [WIDE, TALL, WIDE], [box(1), box(2), box(3)])
    content = json.loads(path.read_text())
    content[table][2]['id'] = 1
    path.write_text(json.dumps(content))
    assert f'annotations.json: {table}[0] and {table}[2] have the same id 1' in refused(CocoDataset, str(path), [])


def test_annotations_need_no_ids(tmp_path, coco_folder):
    path = coco_folder(tmp_path, [WIDE], [box(1), box(1)])
    content = json.loads(path.read_text())
    for item in content['annotations']:
        del item['id']
    path.write_text(json.dumps(content))
    assert len(CocoDataset(str(path), []).get_ann_info(0)['labels']) == 2


def test_every_option_of_the_evaluation_reaches_the_metric_under_its_name(dataset):
    found, calls = dataset([box()]), []
    found._metric = lambda results, **options: calls.append((results, options)) or {'bbox_mAP': 1}
    options = dict(metric=['bbox', 'proposal'], logger=3, classwise=True, proposal_nums=(1, 2), iou_thrs=[0.5],
                   metric_items=['mAP'])
    assert found.evaluate('results', **options) == {'bbox_mAP': 1} and found.evaluate('results') == {'bbox_mAP': 1}
    defaults = dict(metric='bbox', logger=None, classwise=False, proposal_nums=(100, 300, 1000), iou_thrs=None,
                    metric_items=None)
    assert calls == [('results', options), ('results', defaults)]


def test_repeating_a_dataset_repeats_its_groups_and_not_its_random_numbers(dataset):
    found = dataset([box(1), box(2)], [WIDE, TALL],
                    pipeline=[lambda sample: (sample['img_info']['id'], sample.rng.uniform(0, 1))])
    repeated = RepeatDataset(found, 3)
    assert len(repeated) == 6 and repeated.flag.tolist() == [1, 0] * 3 and repeated.CLASSES == found.CLASSES
    assert [repeated[i][0] for i in range(6)] == [1, 2] * 3
    assert len({repeated[i][1] for i in range(6)}) == 6


@pytest.mark.parametrize('times', [0, -1, 1.5, '5'])
def test_a_dataset_is_repeated_a_whole_number_of_times(dataset, times):
    with pytest.raises(ValueError, match='times'):
        RepeatDataset(dataset([box()]), times)
