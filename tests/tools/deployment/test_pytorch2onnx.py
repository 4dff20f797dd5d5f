"""pytorch2onnx.py: a file that was checked, or none."""
from __future__ import annotations

import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmcv_need.errors import ConfigError, UserError
from mmdet.datasets.picture_files import read_image

ROOT = Path(__file__).resolve().parents[3]
for package in ('onnx', 'onnxruntime', 'onnxscript'):
    pytest.importorskip(package)


@pytest.fixture(scope='module')
def tool(load_file):
    return load_file('tools/deployment/pytorch2onnx.py')


@pytest.fixture(scope='module')
def weights(tool, tiny, tmp_path_factory):
    """A checkpoint of the tiny network, untrained."""
    torch.manual_seed(0)
    cfg = tool.read_config(tool.parse([str(tiny), 'x.pth']))
    path = tmp_path_factory.mktemp('weights') / 'tiny.pth'
    torch.save({'state_dict': tool.load_detector(cfg, None)[0].state_dict(), 'meta': {}}, path)
    return path


def test_the_file_is_checked_on_real_pictures_and_the_line_for_atc_is_printed(tool, tiny, weights, tmp_path, capsys):
    out = tmp_path / 'made' / 'tiny net.onnx'
    tool.main([str(tiny), str(weights), '--output-file', str(out), '--soc-version', 'Ascend310P3'])
    lines = capsys.readouterr().out.splitlines()
    side = re.search(r'input \(1, 3, (\d+), \1\) -> scores \(1, (\d+), (\d+)\), boxes \(1, \2, 4\)$', lines[0]).group(1)
    assert lines[0].startswith(f'{out}: opset 11, ')
    assert lines[1].startswith('checked on 4 pictures of data.test, random, black and white ones, and zeros: ONNX and PyTorch')
    assert lines[2] == (f"for Ascend: atc --framework=5 --model='{out}' --output='{out.with_suffix('')}' "
                        f'--input_format=NCHW --input_shape="input:1,3,{side},{side}" '
                        f'--precision_mode=allow_fp32_to_fp16 --soc_version=Ascend310P3')
    assert [path.name for path in out.parent.iterdir()] == ['tiny net.onnx']


def test_a_trained_network_with_given_pictures_shape_and_batch(tool, tiny, trained, demo, tmp_path, capsys):
    picture = sorted((demo / 'val2017').iterdir())[0]
    out = tmp_path / 'a.onnx'
    weights = str(trained.folder / 'latest.pth')
    tool.main([str(tiny), weights, '--output-file', str(out), '--input-img', str(picture), '--shape', '192', '256',
               '--batch', '2', '--with-nms', '--opset-version', '13'])
    lines = capsys.readouterr().out.splitlines()
    assert 'opset 13, input (2, 3, 192, 256) -> dets (2, 100, 5), labels (2, 100)' in lines[0]
    assert lines[1].startswith('checked on 1 pictures of --input-img') and len(lines) == 2


def test_without_the_data_it_says_so_and_draws_pictures(tool, tiny, weights, tmp_path, capsys):
    out = tmp_path / 'a.onnx'
    tool.main([str(tiny), str(weights), '--output-file', str(out), '--dynamic-batch', '--cfg-options',
               'data.test.ann_file=nowhere.json'])
    captured = capsys.readouterr()
    assert captured.err.startswith('no real pictures to check with (--input-img names some): ')
    assert 'checked on 0 pictures, random' in captured.out and 'input:-1,3,' in captured.out and out.exists()


def test_a_model_that_fails_the_check_leaves_what_was_there(tool, tiny, weights, tmp_path, monkeypatch):
    out = tmp_path / 'a.onnx'
    out.write_text('old')
    monkeypatch.setattr(tool, 'export', lambda network, form: broken(network, form))
    module = sys.modules['mmdet.apis.export']

    def broken(network, form):
        with torch.no_grad():
            network.detector.bbox_head.cls_convs[0][0].bias[0] += 1
        model = module.export(network, form)
        with torch.no_grad():
            network.detector.bbox_head.cls_convs[0][0].bias[0] -= 1
        return model
    with pytest.raises(UserError, match='ONNX and PyTorch differ'):
        tool.main([str(tiny), str(weights), '--output-file', str(out)])
    assert out.read_text() == 'old' and [path.name for path in tmp_path.iterdir()] == ['a.onnx']


@pytest.mark.parametrize('options, complaint', [
    (('--shape', '40'), '40 x 40 pixels: the network has no output for an input of this size'),
    (('--shape', '0'), '--shape 0: expected a side'), (('--shape', '1', '2', '3'), '--shape 1 2 3: expected a side'),
    (('--with-nms', '--cfg-options', 'model.test_cfg.nms.class_agnostic=True'), '--with-nms: model.test_cfg: nms has cl'),
    (('--cfg-options', 'data.test.pipeline.1.transforms.0.keep_ratio=True'), 'in several sizes .* give --shape HEIGHT WIDTH')])
def test_what_cannot_be_exported_is_one_line(tool, tiny, weights, tmp_path, options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        tool.main([str(tiny), str(weights), '--output-file', str(tmp_path / 'a.onnx'), *options])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('options', [('--opset-version', '10'), ('--batch', '0'), ('--with-nms', '--skip-postprocess')])
def test_options_out_of_range_are_refused(tool, options):
    with pytest.raises(SystemExit):
        tool.parse(['x.py', 'x.pth', *options])


@pytest.fixture(scope='module')
def many(demo, tmp_path_factory):
    """A hundred pictures: those of the demo, turned and darkened, so that all differ."""
    folder, files = tmp_path_factory.mktemp('many'), []
    found = sorted([*(demo / 'train2017').iterdir(), *(demo / 'val2017').iterdir()])
    for i in range(100):
        turn, which = divmod(i, len(found))
        files.append(str(folder / f'{i}.png'))
        cv2.imwrite(files[-1], (np.rot90(read_image(str(found[which])), turn) * (1 - 0.2 * turn)).astype(np.uint8))
    return files


def largest_difference(tool, config, weights, files, folder, capsys):
    tool.main([str(config), str(weights), '--output-file', str(folder / 'a.onnx'), '--input-img', *files])
    printed = capsys.readouterr().out
    assert f'checked on {len(files)} pictures' in printed
    return max(map(float, re.search(r'at most (\S+) in scores and (\S+) of the side', printed).groups()))


def test_a_hundred_pictures_differ_by_no_more_than_a_ten_thousandth(tool, tiny, weights, many, tmp_path, capsys):
    assert 0 < largest_difference(tool, tiny, weights, many, tmp_path, capsys) <= 1e-4


@pytest.mark.slow
def test_ssd300_at_full_width_differs_by_no_more_either(tool, many, tmp_path, capsys):
    config = ROOT / 'configs/ssd300_coco.py'
    torch.manual_seed(0)
    weights = tmp_path / 'full.pth'
    detector, _ = tool.load_detector(tool.read_config(tool.parse([str(config), 'x'])), None)
    torch.save({'state_dict': detector.state_dict()}, weights)
    assert 0 < largest_difference(tool, config, weights, many[::8], tmp_path, capsys) <= 1e-4
