"""tools/check_config.py: the shipped configs pass it, and whatever is wrong has its line, in tools/train.py too."""
from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from mmdet.apis.endings import run

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(path.name for path in (ROOT / 'configs').glob('*.py'))
PIPELINE = '''train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(300, 300), keep_ratio=False),
    dict(type='Normalize', mean=[123.675, 116.28, 103.53], std=[1, 1, 1]),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])]
data = dict(train=dict(dataset=dict(pipeline=train_pipeline)))'''
TEST_PIPELINE = '''data = dict(val=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='Resize', img_scale=(300, 300), keep_ratio=False),
    dict(type='Normalize', mean=[123.675, 116.28, 103.53], std=[1, 1, 1]),
    dict(type='Collect', keys=['img'])]))'''


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


# What is wrong in a config over configs/ssd300_coco.py, whose data are not here: the text, and how its line begins and goes on.
# The first line of the text is line 2.
WRONG = {
    'a rate as text': ("optimizer = dict(lr='0.01')", "2: optimizer.lr: expected a number, not '0.01'"),
    'a step as text': ("lr_config = dict(step=['16'])",
        "2: lr_config.step: StepLrUpdaterHook: expected an int or a list of ints, not ['16']"),
    'a share of the rate': ('lr_config = dict(warmup_ratio=2)', '2: lr_config: StepLrUpdaterHook: warmup needs'),
    'periods that do not fill the run': ("lr_config = dict(_delete_=True, policy='CosineRestart', periods=[5], min_lr=0)",
        '2: lr_config: periods: together they have 5 of the 24 epochs'),
    'epochs as text': ("runner = dict(max_epochs='24')",
        "2: runner.max_epochs: EpochBasedRunner: expected a value of type int, not '24'"),
    'no epochs': ('runner = dict(\n    max_epochs=0)', '3: runner: EpochBasedRunner: expected max_epochs and max_steps of 1'),
    'an empty batch': ('data = dict(samples_per_gpu=0)',
        '2: data: DataSettings: samples_per_gpu: expected 1 picture or more, not 0'),
    'a batch of None': ('data = dict(samples_per_gpu=None)',
        '2: data.samples_per_gpu: DataSettings: expected a value of type int, not None'),
    'workers': ('data = dict(workers_per_gpu=-1)',
        '2: data: DataSettings: workers_per_gpu: expected 0 processes or more, not -1'),
    'repeats': ('data = dict(train=dict(times=0))', '2: data.train: RepeatDataset: times must be a positive int, not 0'),
    'an annotation file of None': ('data = dict(val=dict(ann_file=None))',
        '2: data.val.ann_file: CocoDataset: expected a value of type str, not None'),
    'a pipeline that is a number': ('data = dict(val=dict(pipeline=5))', '2: data.val.pipeline: CocoDataset: expected a list'),
    'a list of numbers': (changed(PIPELINE, 'mean=[123.675, 116.28, 103.53]', "mean=['1', 2, 3]"),
        "6: data.train.dataset.pipeline.3.mean: Normalize: expected a list of numbers, not ['1', 2, 3]"),
    'two means': (changed(PIPELINE, 'mean=[123.675, 116.28, 103.53]', 'mean=[123.675, 116.28]'),
        '6: data.train.dataset.pipeline.3: Normalize: expected three means'),
    'a scale': (changed(PIPELINE, 'img_scale=(300, 300)', 'img_scale=300'),
        '5: data.train.dataset.pipeline.2.img_scale: Resize: expected a list of two ints or a list of lists of two ints'),
    'no annotations': (changed(PIPELINE, "    dict(type='LoadAnnotations', with_bbox=True),\n", ''),
        "6: data.train.dataset.pipeline.3: Collect: the sample has no 'gt_bboxes' here"),
    'no picture': (changed(PIPELINE, "    dict(type='LoadImageFromFile'),\n", ''),
        '4: data.train.dataset.pipeline.1: there is no picture here yet: LoadImageFromFile comes first'),
    'no Collect': (changed(PIPELINE, ",\n    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])", ''),
        '7: data.train.dataset.pipeline: does not end in a Collect'),
    'a step after Collect': (PIPELINE.replace("'gt_labels'])]", "'gt_labels']),\n    dict(type='RandomFlip', flip_ratio=0.5)]"),
        '8: data.train.dataset.pipeline.5: comes after Collect, which ends a pipeline; put RandomFlip before it'),
    'no labels': (changed(PIPELINE, ", 'gt_labels'", ''),
        '8: data.train.dataset.pipeline: gt_labels: missing from the keys of its Collect; it has img_metas, img, pixel_row'),
    'annotations of a test': (changed(TEST_PIPELINE, "    dict(type='Resize'",
        "    dict(type='LoadAnnotations'),\n    dict(type='Resize'"),
        '4: data.val.pipeline.1: LoadAnnotations fails on a picture of 128 x 96 without annotations (KeyError'),
    'no metas': (changed(TEST_PIPELINE, "keys=['img']", "keys=['img'], meta_keys=('filename',)"),
        '2: data.val.pipeline: img_shape, scale_factor: missing from the meta_keys of its Collect; it has filename'),
    'a class named twice': ("data = dict(train=dict(dataset=dict(classes=('cat', 'dog', 'cat'))))",
        "2: data.train.dataset: CocoDataset: classes: 'cat' occurs twice"),
    'a number of classes': ("classes = ('cat', 'dog')\ndata = dict(train=dict(dataset=dict(classes=classes)))",
        '3: data.train.dataset.classes: 2 classes (cat, dog), but model.bbox_head.num_classes is 80 (configs/_base_/models/'),
    'the number of classes of VOC': ("evaluation = dict(metric='mAP')\ndata = dict(val=dict(_delete_=True, type='VOCDataset',\n"
        "    ann_file='a', img_prefix='VOC2007', pipeline={{_base_.test_pipeline}}))", '3: data.val: 20 classes (aeroplane,'),
    'classes of evaluation': ("model = dict(bbox_head=dict(num_classes=2))\ndata = dict(\n"
        "    train=dict(dataset=dict(classes=('cat', 'dog'))),\n    val=dict(classes=('cat', 'cow')))",
        "5: data.val.classes: not the classes of data.train.dataset: label 1 is 'cow' here and 'dog' there"),
    'no classes at all': ('model = dict(bbox_head=dict(num_classes=0))', '2: model.bbox_head: SSDHead: num_classes must be at'),
    'ratios': ('model = dict(bbox_head=dict(anchor_generator=dict(ratios=2)))',
        '2: model.bbox_head.anchor_generator.ratios: SSDAnchorGenerator: expected a list of lists of numbers, not 2'),
    'a stride as text': ("model = dict(bbox_head=dict(anchor_generator=dict(strides=['8', 16, 32, 64, 100, 300])))",
        '2: model.bbox_head.anchor_generator.strides: SSDAnchorGenerator: expected a list of numbers or lists of two numbers'),
    'stds of boxes': ('model = dict(bbox_head=dict(bbox_coder=dict(target_stds=[0.1, 0.1])))',
        '2: model.bbox_head.bbox_coder: DeltaXYWHBBoxCoder: expected four means and four positive stds'),
    'thresholds': ('model = dict(train_cfg=dict(assigner=dict(pos_iou_thr=1.5)))',
        '2: model.train_cfg.assigner: MaxIoUAssigner: expected 0 <= neg_iou_thr <= pos_iou_thr <= 1, not 0.5 and 1.5'),
    'a weight as text': ("model = dict(train_cfg=dict(neg_pos_ratio='3'))",
        "2: model.train_cfg.neg_pos_ratio: SSDTrainCfg: expected a value of type float, not '3'"),
    'suppression': ('model = dict(test_cfg=dict(nms=dict(iou_threshold=4.5)))',
        '2: model.test_cfg.nms: GreedyNMS: iou_threshold 4.5 is not in 0..1'),
    'channels of the head': ('model = dict(bbox_head=dict(in_channels=(512, 1024, 512, 256, 256, 128)))',
        '2: model.bbox_head: SSDHead cannot take what it is given in training: 8 x 512 x 38 x 38,'),
    'levels of the head': ('model = dict(neck=None)',
        'configs/_base_/models/ssd300.py:24: model.bbox_head.anchor_generator: has 6 levels of default boxes for 2 feature'),
    'channels of the neck': ('model = dict(neck=dict(in_channels=(256, 1024), out_channels=(256, 1024, 512, 256, 256, 256)))',
        '2: model.neck: SSDNeck cannot take what it is given in training: 8 x 512 x 38 x 38, 8 x 1024 x 19 x 19'),
    'a picture that is too small': (changed(PIPELINE, '(300, 300)', '(100, 100)'), 'model.neck: SSDNeck cannot take what'),
    'weights of no known name': ("model = dict(backbone=dict(init_cfg=dict(checkpoint='open-mmlab://vgg16_cafe')))",
        "2: model.backbone.init_cfg: Pretrained: 'open-mmlab://vgg16_cafe' is no known name of weights. Did you mean"),
    'a metric': ("evaluation = dict(metric='mAP')",
        "2: evaluation.metric: data.val is of CocoDataset: metric 'mAP' is not supported"),
    'an option of a metric': ('evaluation = dict(iou_thr=0.5)',
        "2: evaluation iou_thr: the evaluation of a CocoDataset has no such option. Did you mean 'iou_thrs'?"),
    'the best': ("evaluation = dict(save_best='bbox_map')",
        "2: evaluation.save_best: the evaluation gives no number 'bbox_map'. Did you mean 'bbox_mAP'?"),
    'a level of precision': ("precision = dict(opt_level='O3')", "2: precision: Precision: opt_level 'O3': expected one of O0"),
    'a loss scale': ("precision = dict(opt_level='O1', loss_scale=-1)", '2: precision: Precision: loss_scale -1: expected'),
    'a file to load': ('load_from = 5', '2: load_from: expected a str, not 5'),
    'a seed as text': ("seed = 'x'", "2: seed: expected an integer of 0 or more, below 2^32, not 'x'"),
    'a priority': ("custom_hooks = [dict(type='EMAHook', priority='LOUD')]", "2: custom_hooks.0.priority: priority 'LOUD'"),
}
# What is hardly meant so, over the same config: the text, and how its line begins and goes on.
DOUBTFUL = {
    'a step beyond the run': ('lr_config = dict(step=[16, 30])', '2: lr_config.step: 30: never reached: the run has 24 epochs'),
    'a warm-up of the whole run': ('lr_config = dict(\n    warmup_iters=24, warmup_by_epoch=True)',
        '3: lr_config.warmup_iters: the warm-up of 24 epochs never ends'),
    'evaluation after the run': ('evaluation = dict(interval=30)', '2: evaluation.interval: nothing is evaluated: the first'),
    'a late first evaluation': ('evaluation = dict(start=25)', '2: evaluation.start: nothing is evaluated: the first time'),
    'evaluation of nothing': ('data = dict(val=None)', 'evaluation: has no effect: there is no data.val'),
    'boxes for another size': ('model = dict(bbox_head=dict(anchor_generator=dict(input_size=512)))',
        '2: model.bbox_head.anchor_generator.input_size: sizes of default boxes are those for pictures of 512 x 512, and '
        'data.train makes them 300 x 300'),
    'strides for another size': ('model = dict(bbox_head=dict(anchor_generator=dict(strides=[8, 16, 32, 64, 128, 300])))',
        '2: model.bbox_head.anchor_generator.strides: level 4 has 3 cells of 128 pixels, and the picture is 300 wide'),
    'another size in tests': (changed(TEST_PIPELINE, '(300, 300)', '(320, 320)'),
        'data.val: makes pictures of 320 x 320, and data.train of 300 x 300'),
    'other means in tests': (changed(TEST_PIPELINE, 'mean=[123.675', 'mean=[103.53'),
        'data.val: normalises with mean [103.53, 116.28, 103.53], and data.train with [123.675, 116.28, 103.53]'),
    'no means in tests': (re.sub(r".*'Normalize'.*\n", '', TEST_PIPELINE), 'data.val: has no Normalize in its pipeline'),
    'a name that was used already': ("data_root = 'elsewhere/'", '2: data_root: has no effect: the config has used it already'),
    'a pipeline that was used already': ('train_pipeline = []', '2: train_pipeline: has no effect'),
    'a part of a dict that was used already': ('img_norm_cfg = dict(\n    to_rgb=False)', '3: img_norm_cfg: has no effect'),
    'a key that nothing reads': ("classes = ('cat', 'dog')", '2: classes: nothing reads this key'),
    'a rate for another batch': ('optimizer = dict(\n    lr=0.02)\nauto_scale_lr = None',
        '3: optimizer.lr: 0.02 is for 640 pictures a step, and this run has 64 (8 x 8). By the linear rule optimizer.lr=0.002 '
        'fits'),
}


@pytest.fixture
def variant(tmp_path):
    """Writes a config over configs/ssd300_coco.py, by its path from here, whose data are elsewhere; returns its path."""
    def write(text, name='variant.py'):
        path = tmp_path / name
        path.write_text(f'_base_ = {str(ROOT / "configs/ssd300_coco.py")!r}\n{text}\n')
        return path
    return write


@pytest.fixture
def checked(tools, monkeypatch, capsys):
    """Runs the tool as its command line does, from the repository; returns status, errors, warnings and what it printed."""
    def start(*words):
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, 'argv', ['check_config.py', *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            run(lambda arguments: tools.check_config(*arguments))
        printed, said = capsys.readouterr()
        assert 'Traceback' not in said
        errors, warnings = ([line[len(kind):] for line in said.splitlines() if line.startswith(kind)]
                            for kind in ('error: ', 'warning: '))
        assert len(errors) + len(warnings) == len(said.splitlines())
        return stopped.value.code, errors, warnings, printed
    return start


def begins(path, words):
    """The beginning of a line that says where in a variant, or elsewhere, something stands."""
    return f'{path}:{words}' if words[0].isdigit() else words


@pytest.mark.parametrize('name', CONFIGS)
def test_a_shipped_config_passes_without_a_warning(checked, name):
    status, errors, warnings, printed = checked(f'configs/{name}')
    assert (status, errors, warnings) == (0, [], [])
    assert printed.startswith(f'configs/{name}: no errors, no warnings\n')


@pytest.mark.parametrize('name', WRONG)
def test_what_is_wrong_has_its_line_here_and_in_training_without_data(checked, variant, tools, monkeypatch, tmp_path, name):
    text, words = WRONG[name]
    path = variant(text)
    status, errors, _, printed = checked(path)
    assert status == 2 and len(errors) == 1 and printed == f'{path}: 1 error, no warnings\n'
    assert begins(path, words) in errors[0] and len(errors[0]) < 600
    assert errors[0].startswith(begins(path, words)) or not words[0].isdigit()
    with pytest.raises(ValueError) as raised:  # its data are not here, which would come next
        tools.train(path, '--work-dir', tmp_path / 'work', '--data-root', tmp_path / 'no')
    assert str(raised.value) == errors[0]


@pytest.mark.parametrize('name', DOUBTFUL)
def test_what_is_hardly_meant_so_is_a_warning(checked, variant, name):
    text, words = DOUBTFUL[name]
    path = variant(text)
    status, errors, warnings, printed = checked(path)
    assert (status, errors) == (0, []) and begins(path, words) in warnings[0]
    assert len(warnings) == 1 and printed.startswith(f'{path}: no errors, 1 warning\n')


def test_all_errors_of_a_config_are_told_at_once(checked, variant):
    path = variant("modle = dict()\nmodel = dict(bbox_head=dict(num_class=3), backbone=dict(depht=16))\n"
                   "data = dict(train=dict(times='5', dataset=dict(clases=1)), workers_per_gpu=-1)\n"
                   "runner = dict(max_epoch=3)\noptimizer = dict(momentun=1, nestrov=True)\nseed = 'x'\n"
                   "evaluation = dict(interval=0)\n"
                   "log_config = dict(interval='50')\nlr_config = dict(step='16')")
    status, errors, _, printed = checked(path)
    keys = [re.match(rf'{re.escape(str(path))}:\d+: ([\w.]+)', error).group(1) for error in errors]
    assert status == 2 and sorted(keys) == sorted([
        'modle', 'model.bbox_head.num_class', 'model.backbone.depht', 'data', 'data.train.times', 'data.train.dataset.clases',
        'runner.max_epoch', 'optimizer.momentun', 'optimizer.nestrov', 'evaluation', 'seed', 'log_config.interval',
        'lr_config.step'])
    assert printed == f'{path}: 13 errors, no warnings\n'


@pytest.mark.parametrize('text, words', [
    ('data = 5', '2: data: expected a dict, not 5'), ('model = None', ': has no model; is this the config of a detector?'),
    ('total_epochs = 3', '2: total_epochs and runner.max_epochs'), ('model = dict(train_cfg=None)', 'has no model.train_cfg'),
    ('x = ', '2: ')])
def test_where_no_more_can_be_said_that_is_said(checked, variant, text, words):
    status, errors, _, _ = checked(variant(text))
    assert status == 2 and len(errors) == 1 and words in errors[0]


def test_several_configs_are_checked_one_after_the_other(checked, variant):
    wrong, right = variant('seed = -1', 'wrong.py'), variant('', 'right.py')
    status, errors, warnings, printed = checked(wrong, right, 'configs/nowhere.py')
    assert status == 2 and len(errors) == 2 and 'configs/nowhere.py' in errors[1] and not warnings
    assert re.findall(r'^(\S+): (\w+) error', printed, flags=re.MULTILINE) == [
        (str(wrong), '1'), (str(right), 'no'), ('configs/nowhere.py', '1')]
    assert checked(right, right)[0] == 0


def test_changes_of_the_command_line_are_checked_too(checked):
    _, errors, _, _ = checked('configs/ssd300_coco.py', '--cfg-options', 'optimizer.lr=abc', 'data.train.times=0')
    assert sorted(errors) == ['--cfg-options: data.train: RepeatDataset: times must be a positive int, not 0',
                              "--cfg-options: optimizer.lr: expected a number, not 'abc'"]


@pytest.mark.parametrize('words, rate', [(['--gpus', 1], '0.00025'), (['--gpus', 2], '0.0005'), (['--gpus', 4], None),
                                         (['--gpus', 16], None), (['--gpus', 17], '0.00425'), ([], None)])
def test_the_rate_is_held_against_the_number_of_cards(checked, words, rate):
    _, _, warnings, _ = checked('configs/ssd300_coco.py', *words)
    assert [re.search(r'optimizer\.lr=(\S+) fits, and so does --auto-scale-lr$', line).group(1) for line in warnings] == (
        [rate] if rate else [])


def test_the_rate_may_be_scaled(checked):
    _, _, warnings, printed = checked('configs/ssd300_coco.py', '--gpus', 1, '--auto-scale-lr')
    assert not warnings and 'auto_scale_lr: lr 0.002 -> 0.00025: 1 x 8 pictures a step' in printed
    assert 'SGD, lr 0.00025,' in printed


def test_no_cards_are_refused(checked):
    assert checked('configs/ssd300_coco.py', '--gpus', 0)[0] == 2


@pytest.mark.parametrize('text, batch', [
    ('', 64), ('data = dict(samples_per_gpu=32)', 64), ('data = dict(samples_per_gpu=1)', 8)])
def test_without_a_number_of_cards_it_is_the_one_that_the_rate_is_for_up_to_8(checked, variant, text, batch):
    _, _, warnings, printed = checked(variant(text))
    assert f' {batch} pictures a step' in printed and len(warnings) == (batch == 8)


def test_pictures_are_counted_if_that_is_asked_for(checked, tiny):
    _, _, warnings, printed = checked(tiny, '--count')
    assert '3 epochs over 24 pictures' in printed and '; 7 steps an epoch, 21 in all' in printed and not warnings
    status, errors, _, _ = checked('configs/ssd300_coco.py', '--count', '--data-root', tiny.parent / 'no')
    assert status == 2 and 'no annotation file at' in errors[0]


def test_nothing_is_read_or_fetched(checked, monkeypatch):
    """Neither annotations nor weights: whoever opens one of them fails."""
    def fail(*_, **__):
        raise AssertionError('touched')

    for name in ('mmdet.datasets.coco.read_table', 'mmdet.datasets.voc.read_ids', 'mmdet.datasets.picture_files.read_image',
                 'mmcv_need.pretrained.fetch', 'mmdet.models.initializers.read_checkpoint'):
        monkeypatch.setattr(name, fail)
    assert checked('configs/ssd300_coco.py', 'configs/ssd300_voc0712.py', 'configs/ssd_demo.py')[0] == 0


def test_a_run_says_in_its_log_what_it_will_be(training):
    log = training('--cfg-options', 'lr_config.step=[2,9]', 'runner.max_epochs=1').logs[0].read_text()
    assert 'passes       1 epoch over 24 pictures\n' in log
    assert 'step         4 pictures a step (1 card x 4); 7 steps an epoch, 7 in all\n' in log
    assert 'seed         3\n' in log and 'starts from  random weights\n' in log
    assert 'WARNING - --cfg-options: lr_config.step: 2, 9: never reached: the run has 1 epoch\n' in log
    assert log.index('The run:') < log.index('Epoch [1][2/7]')
