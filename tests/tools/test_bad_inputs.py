"""Wrong inputs: status 2 and one line that says where, what, and what to do; before anything slow, and no traceback."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmdet.apis import endings
from mmdet.apis.endings import run
from mmdet.datasets.coco_classes import COCO_CLASSES

ROOT = Path(__file__).resolve().parents[2]
VGG = 'https://download.openmmlab.com/pretrain/third_party/vgg16_caffe-292e1171.pth'


def the_error(status, stderr):
    """The message of a command that failed as it should."""
    assert status == 2, stderr
    assert 'Traceback' not in stderr
    lines = [line for line in stderr.splitlines() if re.match(r'(\w+\.py: )?error: ', line)]
    assert len(lines) == 1, stderr
    after = stderr.splitlines()[stderr.splitlines().index(lines[0]) + 1:]
    assert after == []  # nothing follows, and nothing but the error, warnings and usage came before
    return lines[0].partition('error: ')[2]


@pytest.fixture
def fails(tools, monkeypatch, capsys):
    """Runs a tool in this process as its command line does; returns the message of its error."""
    def start(tool, *words):
        arguments = [str(word) for word in words]
        if tool != 'print_config' and '--device' not in arguments:
            arguments += ['--device', 'cpu']
        monkeypatch.setattr(sys, 'argv', [f'{tool}.py', *arguments])
        monkeypatch.setattr(endings, 'keep_private', lambda: None)  # the umask is the whole process's
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            run(lambda _: getattr(tools, tool)(*arguments))
        return the_error(stopped.value.code, capsys.readouterr().err)
    return start


@pytest.fixture
def variant(tiny, tmp_path):
    """Writes a config over tiny.py; returns its path. The line numbers begin at 2."""
    def write(text):
        path = tmp_path / 'variant.py'
        path.write_text(f'_base_ = [{str(tiny)!r}]\n{text}\n')
        return path
    return write


# Configs: what stands in the file, and what the message says.
WRONG = {
    'a key at the top level': ('modle = dict(neck=None)', ['variant.py:2: modle: ', "Did you mean 'model'?"]),
    'a key of the model': ('model = dict(bakbone=dict(depth=16))',
        ['variant.py:2: model.bakbone: SingleStageDetector', "Did you mean 'backbone'?"]),
    'a key of the head': ('model = dict(bbox_head=dict(\n    num_class=6))',
        ['variant.py:3: model.bbox_head.num_class: SSDHead (mmdet.models.dense_heads.ssd_head)',
         "Did you mean 'num_classes'?"]),
    'a key of the anchors': ('model = dict(bbox_head=dict(anchor_generator=dict(stride=[8])))',
        ['variant.py:2: model.bbox_head.anchor_generator.stride: SSDAnchorGenerator', "Did you mean 'strides'?"]),
    'a key of train_cfg': ('model = dict(train_cfg=dict(neg_pos_ration=3))',
        ['model.train_cfg.neg_pos_ration', "'neg_pos_ratio'"]),
    'a key of test_cfg': ('model = dict(test_cfg=dict(score_thresh=0.1))',
        ['model.test_cfg.score_thresh', "'score_thr'"]),
    'a key of data': ('data = dict(sample_per_gpu=4)',
        ['variant.py:2: data.sample_per_gpu: DataSettings', "Did you mean 'samples_per_gpu'?"]),
    'a key of a dataset': ('data = dict(train=dict(img_prefixes=3))',
        ['data.train.img_prefixes: CocoDataset', "'img_prefix'"]),
    'a key of the validation data': ('data = dict(val=dict(ann_fil=3))',
        ['data.val.ann_fil: CocoDataset', "'ann_file'"]),
    'a key of a transform': ("data = dict(train=dict(pipeline=[dict(type='LoadImageFromFile'),\n"
        "    dict(type='RandomFlip', flip_ration=0.5)]))",
        ['variant.py:3: data.train.pipeline.1.flip_ration: RandomFlip', "Did you mean 'flip_ratio'?"]),
    'a name of a transform': ("data = dict(train=dict(pipeline=[dict(type='LoadImagesFromFile')]))",
        ['variant.py:2: data.train.pipeline.0.type', "'LoadImagesFromFile'", "Did you mean 'LoadImageFromFile'?"]),
    'a key of lr_config': ('lr_config = dict(warmup_iter=5)',
        ['variant.py:2: lr_config.warmup_iter: StepLrUpdaterHook', "'warmup_iters'"]),
    'a policy': ("lr_config = dict(policy='stp')", ['lr_config.policy', "'stp'", 'step']),
    'a key of the optimizer': ('optimizer = dict(momentun=0.9)',
        ['variant.py:2: optimizer.momentun: SGD', "Did you mean 'momentum'?"]),
    'an optimizer': ("optimizer = dict(type='SDG')", ['variant.py:2: optimizer.type', "'SDG'", "Did you mean 'SGD'?"]),
    'a rate': ('optimizer = dict(lr=-1)', ['optimizer: SGD refused its arguments', '-1']),
    'a key of optimizer_config': ('optimizer_config = dict(grad_clp=None)',
        ['variant.py:2: optimizer_config.grad_clp', "'grad_clip'"]),
    'a key of grad_clip': ('optimizer_config = dict(grad_clip=dict(max_nrom=3))',
        ['optimizer_config.grad_clip.max_nrom', "'max_norm'"]),
    'a key of the runner': ('runner = dict(max_epoch=3)',
        ['variant.py:2: runner.max_epoch: EpochBasedRunner', "'max_epochs'"]),
    'a key of evaluation': ('evaluation = dict(intervall=3)', ['variant.py:2: evaluation.intervall', "'interval'"]),
    'a key of checkpoint_config': ('checkpoint_config = dict(max_keep_ckpt=3)',
        ['checkpoint_config.max_keep_ckpt', "'max_keep_ckpts'"]),
    'a key of log_config': ('log_config = dict(intervals=3)', ['log_config.intervals', "'interval'"]),
    'a logger': ("log_config = dict(hooks=[dict(type='TextLogerHook')])",
        ['log_config.hooks.0.type', "'TextLoggerHook'"]),
    'a hook': ("custom_hooks = [dict(type='CheckpointHok')]", ['custom_hooks.0.type', "'CheckpointHook'"]),
    'an unknown type': ("model = dict(neck=dict(type='FPNN'))", ["'FPNN'", 'model.neck.type', 'SSDNeck']),
    'a head where a backbone belongs': ("model = dict(backbone=dict(_delete_=True, type='SSDHead'))",
        ['variant.py:2: model.backbone.type', "'SSDHead' belongs to HEADS; BACKBONES is expected here"]),
    'a missing argument': ("model = dict(bbox_head=dict(anchor_generator=dict(_delete_=True, type='SSDAnchorGenerator')))",
        ['variant.py:2: model.bbox_head.anchor_generator: SSDAnchorGenerator', 'needs the argument', 'strides']),
    'a missing file of annotations': ("data = dict(train=dict(ann_file='nowhere.json'))",
        ['variant.py:2: data.train: ', 'no annotation file at nowhere.json']),
    'a class that the data lack': ("model = dict(bbox_head=dict(num_classes=3))\n"
        "data = dict(train=dict(classes=('circle', 'squar', 'ring')))",
        ["has no category 'squar'", "Did you mean 'square'?", 'The file has 6']),
    'a number of classes': ('model = dict(bbox_head=dict(num_classes=7))',
        ['variant.py:2: model.bbox_head.num_classes is 7', '6 classes (circle, square', 'num_classes=6']),
    'levels that do not match': ('model = dict(bbox_head=dict(anchor_generator=dict(strides=[8])))',
        ['anchor_generator', 'strides has 1', '5']),
    'a key that is not supported': ('ema_config = dict()', ['variant.py:2: ema_config: not supported']),
    'a loss scale': ("fp16 = dict(loss_scale='dynamc')",
        ['variant.py:2: precision.loss_scale', "expected a number such as 128., or 'dynamic'"]),
    'a loss scale of another name': ('fp16 = dict(scale=512.)', ['variant.py:2: fp16.scale', "Did you mean 'loss_scale'?"]),
    'a thing said twice': ('total_epochs = 3', ['total_epochs', 'runner.max_epochs', 'twice']),
    'a workflow': ("workflow = [('train', 1), ('test', 1)]",
        ['variant.py:2: workflow', "expected pairs of mode and epochs, such as [('train', 1)]"]),
    'a workflow that never trains': ("workflow = [('val', 1)]", ['variant.py:2: workflow', 'expected pairs']),
    'labels of a validation epoch that mean other classes': ("evaluation = None\nworkflow = [('train', 1), ('val', 1)]\n"
        "model = dict(bbox_head=dict(num_classes=2))\ndata = dict(train=dict(classes=('circle', 'square')))",
        ['data.val: not the classes of data.train: 6 classes here and 2 there']),
    'a model that is not there': ('model = None', ['variant.py: has no model; is this the config of a detector?']),
    'an interval of zero': ('evaluation = dict(interval=0)',
        ['evaluation: EvaluationSettings: interval must be at least 1, not 0']),
    'a metric to tell the best by': ("evaluation = dict(metric='bbox',\n    save_best='bbox_map')",
        ["variant.py:3: evaluation.save_best: the evaluation gives no number 'bbox_map'. Did you mean 'bbox_mAP'?"]),
    'evaluation on what repeats its pictures': ("data = dict(val=dict(_delete_=True, type='RepeatDataset', times=2,\n"
        '    dataset={{_base_.data.val}}))', ['variant.py:2: data.val: a RepeatDataset has no metrics; name the dataset']),
    'evaluation on what balances its classes': ("data = dict(val=[{{_base_.data.val}},\n    dict(type='ClassBalancedDataset', "
        'oversample_thr=0.5, dataset={{_base_.data.val}})])', ['variant.py:2: data.val.datasets.1: a ClassBalancedDataset']),
    'an empty list of datasets': ('data = dict(val=[])', ['variant.py:2: data.val: the list is empty']),
    'a seed': ('seed = -5', ['seed', '-5']),
    'a switch': ('auto_resume = 5', ['auto_resume', 'expected a bool, not 5']),
    'a large seed': ('seed = 99999999999999999999', ['seed', 'below 2^32']),
}
SECTIONS = ('model', 'data', 'optimizer', 'optimizer_config', 'lr_config', 'runner', 'evaluation', 'checkpoint_config',
            'log_config')


@pytest.mark.parametrize('name', WRONG)
def test_what_is_wrong_in_a_config_is_named(fails, variant, tmp_path, name):
    text, words = WRONG[name]
    seed = [] if 'seed' in text else ['--seed', '3']
    message = fails('train', variant(text), '--work-dir', tmp_path / 'work', *seed)
    for word in words:
        assert word in message
    assert not list(tmp_path.glob('work/*.pth'))


@pytest.mark.parametrize('section', SECTIONS)
@pytest.mark.parametrize('value', ['5', "'text'", '[1, 2]'])
def test_a_section_that_is_no_dict_is_named(fails, tmp_path, tiny, section, value):
    whole = tmp_path / 'variant.py'
    whole.write_text(f'_base_ = [{str(tiny)!r}]\n{section} = {value}\n')
    message = fails('train', whole, '--work-dir', tmp_path / 'work')
    assert message == f"{whole}:2: {section}: expected a dict, not {value}"


@pytest.mark.parametrize('text', [
    'data = dict(train=5)', 'data = dict(train=[1])', 'data = dict(train=None)', 'model = dict(train_cfg=5)',
    'model = dict(backbone=None)', 'model = dict(neck=5)', 'custom_hooks = 5', 'custom_hooks = [5]',
    'log_config = dict(hooks=5)', 'log_config = dict(hooks=[5])', 'workflow = 5', 'workflow = [5]', "log_level = 'LOUD'",
    'lr_config = dict(policy=5)', 'optimizer_config = dict(grad_clip=5)',
    "optimizer_config = dict(grad_clip=dict(max_norm='x'))"])
def test_a_value_of_the_wrong_kind_is_named(fails, variant, tmp_path, text):
    key = text.partition(' ')[0]
    message = fails('train', variant(text), '--work-dir', tmp_path / 'work')
    assert re.search(rf'\.py:\d+: {key}', message) and len(message) < 400


# Command lines.


def test_an_option_without_a_value_is_refused(fails, tiny):
    assert "'runner.max_epochs' is not an option" in fails('train', tiny, '--cfg-options', 'runner.max_epochs')


def test_an_index_beyond_the_list_is_refused(fails, tiny):
    message = fails('train', tiny, '--cfg-options', 'data.train.pipeline.99.type=X')
    assert 'data.train.pipeline.99' in message and '10' in message


def test_both_names_of_the_options_at_once_are_refused(fails, tiny):
    assert '--options is the old name' in fails('train', tiny, '--cfg-options', 'a=1', '--options', 'b=2')


def test_an_unknown_device_is_refused(fails, tiny):
    assert 'npu, cuda, cpu' in fails('train', tiny, '--device', 'tpu')


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_a_device_that_is_not_here_is_refused(fails, tiny):
    assert "device 'cuda:1' cannot be used" in fails('train', tiny, '--device', 'cuda:1')


def test_a_launcher_without_its_environment_is_refused(fails, tiny, monkeypatch):
    for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'LOCAL_RANK'):
        monkeypatch.delenv(name, raising=False)
    assert 'has no LOCAL_RANK. Start the processes with torchrun' in fails('train', tiny, '--launcher', 'pytorch')
    monkeypatch.setenv('LOCAL_RANK', '0')
    assert 'the environment has no RANK, WORLD_SIZE. Start' in fails('train', tiny, '--launcher', 'pytorch')


def test_a_missing_config_is_refused(fails):
    assert 'nowhere.py' in fails('train', 'nowhere.py')


def test_a_path_typed_by_habit_is_answered_with_the_right_one(fails, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert 'configs/ssd300_coco.py' in fails('train', 'configs/ssd/ssd300_coco.py').replace('configs/ssd/ssd300_coco.py', '')


@pytest.mark.parametrize('name, text, words', [
    ('notes.txt', 'x = 1', ['notes.txt', '.py']),
    ('code.py', 'import os\nx = os.getcwd()', ['code.py:1', 'import']),
    ('broken.py', 'x = dict(a=1', ['broken.py:1']),
    ('empty.py', '', ['empty.py', 'has no model']),
    ('list.json', '[1]', ['list.json']),
])
@pytest.mark.parametrize('tool', ['train', 'print_config'])
def test_what_is_no_config_is_refused(fails, tmp_path, tool, name, text, words):
    if tool == 'print_config' and name == 'empty.py':
        pytest.skip('an empty config can be printed')
    (tmp_path / name).write_text(text)
    message = fails(tool, tmp_path / name)
    assert all(word in message for word in words)


def test_a_key_that_is_not_there_cannot_be_printed(fails, tiny):
    assert "has no 'model.bakbone.depth' (no 'bakbone')" in fails('print_config', tiny, '--key', 'model.bakbone.depth')


def test_a_data_root_needs_data(fails, tmp_path):
    (tmp_path / 'variant.py').write_text("data_root = 'x/'\nmodel = dict(type='SingleStageDetector')\n")
    assert 'has no data' in fails('train', tmp_path / 'variant.py', '--data-root', tmp_path)


def test_a_work_dir_that_cannot_be_made_is_named(fails, tiny, tmp_path):
    (tmp_path / 'file').write_text('')
    assert str(tmp_path / 'file') in fails('train', tiny, '--work-dir', tmp_path / 'file' / 'work')


def test_an_unknown_word_is_refused(fails, tiny):
    assert 'unrecognized arguments: --wrok-dir' in fails('train', tiny, '--wrok-dir')


# Checkpoints.


@pytest.mark.parametrize('option', ['--resume-from', 'load_from', 'test'])
def test_a_file_that_is_no_checkpoint_is_refused(fails, tiny, tmp_path, option):
    path = tmp_path / 'weights.pth'
    path.write_text('not weights at all\n')
    if option == 'test':
        message = fails('test', tiny, path, '--eval', 'bbox')
    else:
        words = [option, path] if option.startswith('--') else ['--cfg-options', f'{option}={path}']
        message = fails('train', tiny, '--work-dir', tmp_path / 'work', *words)
    assert message.startswith(f'{path}: not a checkpoint')


@pytest.mark.parametrize('option', ['--resume-from', 'test'])
def test_a_checkpoint_of_another_network_is_refused(fails, trained, tiny, tmp_path, option):
    path = trained.folder / 'latest.pth'
    wider = ['--cfg-options', 'model.bbox_head.num_classes=9']
    if option == 'test':
        message = fails('test', tiny, path, '--eval', 'bbox', *wider)
    else:
        message = fails('train', tiny, '--resume-from', path, '--work-dir', tmp_path,
                        '--cfg-options', 'model.neck.norm_cfg=None')
    assert message.startswith(f'{path}: ') and 'made for another model' in message


def test_a_missing_checkpoint_is_refused(fails, tiny):
    assert fails('test', tiny, 'nowhere.pth', '--eval', 'bbox') == 'nowhere.pth: no such checkpoint file'


@pytest.mark.parametrize('text, words', [
    ('model = dict(bakbone=dict(depth=16))', ['variant.py:2: model.bakbone', "'backbone'"]),
    ('model = dict(backbone=None)', ['model', 'needs the argument backbone']),
    ('data = dict(test=None)', ['variant.py', 'no data.test']),
    ("data = dict(test=dict(ann_file='no.json'))", ['variant.py:2: data.test: no annotation file at no.json']),
    ("data = dict(test=dict(classes=('circle', 'ring')))", ['num_classes is 6', '2 classes (circle, ring)'])])
def test_what_is_wrong_in_a_config_is_named_by_the_test_tool_too(fails, variant, trained, text, words):
    message = fails('test', variant(text), trained.folder / 'latest.pth', '--eval', 'bbox')
    assert all(word in message for word in words)


def test_testing_without_a_purpose_is_refused(fails, tiny, trained):
    assert '--eval bbox' in fails('test', tiny, trained.folder / 'latest.pth')


def test_results_of_an_unknown_kind_are_refused(fails, tiny, trained):
    assert 'found.txt' in fails('test', tiny, trained.folder / 'latest.pth', '--out', 'found.txt')


# The first things that go wrong on a new machine, as they are typed.


def command(*words, **environment):
    done = subprocess.run([sys.executable, *(str(word) for word in words)], cwd=ROOT, capture_output=True, text=True,
                          check=False, env={**os.environ, 'OMP_NUM_THREADS': '1', **environment})
    return the_error(done.returncode, done.stderr)


def test_training_without_data_says_where_coco_goes(tmp_path):
    message = command('tools/train.py', 'configs/ssd300_coco.py', '--device', 'cpu', '--work-dir', tmp_path,
                      '--data-root', tmp_path / 'no')
    for words in (f'no annotation file at {tmp_path}/no/annotations/instances_train2017.json', 'https://cocodataset.org',
                  'data/coco/', 'annotations/', 'train2017/', '--data-root DIR'):
        assert words in message


@pytest.fixture
def coco(tmp_path):
    """COCO's folders and categories with a single picture that is not there, in folders that are."""
    (tmp_path / 'annotations').mkdir()
    content = {'images': [{'id': 1, 'file_name': '1.jpg', 'width': 100, 'height': 100}],
               'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 50, 50], 'area': 2500, 'iscrowd': 0}],
               'categories': [{'id': i, 'name': name} for i, name in enumerate(COCO_CLASSES, 1)]}
    for split in ('train', 'val'):
        (tmp_path / f'annotations/instances_{split}2017.json').write_text(json.dumps(content))
        (tmp_path / f'{split}2017').mkdir()
    return tmp_path


def test_training_without_a_network_says_how_to_get_the_weights(coco):
    closed = 'http://127.0.0.1:9'
    message = command('tools/train.py', 'configs/ssd300_coco.py', '--device', 'cpu', '--data-root', coco,
                      '--work-dir', coco / 'work', TORCH_HOME=str(coco / 'torch'), https_proxy=closed, http_proxy=closed,
                      HTTPS_PROXY=closed, no_proxy='', NO_PROXY='')
    for words in ("'open-mmlab://vgg16_caffe'", VGG, f'{coco}/torch/hub/checkpoints/vgg16_caffe-292e1171.pth',
                  'model.backbone.init_cfg.checkpoint=/path/to/vgg16.pth', 'model.backbone.init_cfg=None'):
        assert words in message


def test_a_misspelt_key_fails_at_the_shell(variant, tmp_path):
    message = command('tools/train.py', variant('model = dict(bbox_head=dict(num_class=6))'), '--work-dir', tmp_path)
    assert message == (f'{tmp_path}/variant.py:2: model.bbox_head.num_class: SSDHead (mmdet.models.dense_heads.ssd_head) '
                       "has no such argument. Did you mean 'num_classes'?")


def test_testing_a_missing_checkpoint_fails_at_the_shell(tiny):
    message = command('tools/test.py', tiny, 'nowhere.pth', '--eval', 'bbox', '--device', 'cpu')
    assert message == 'nowhere.pth: no such checkpoint file'


def test_printing_a_missing_config_fails_at_the_shell():
    assert 'configs/ssd300_coco.py' in command('tools/print_config.py', 'configs/ssd300_coc.py')
