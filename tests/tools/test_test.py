"""The command line of tools/test.py: MMDetection's habits work, and what cannot work fails before the detection."""
from __future__ import annotations

import json

import pytest

from mmcv_need.errors import UserError


@pytest.fixture(scope='module')
def checkpoint(trained):
    return trained.folder / 'latest.pth'


@pytest.fixture
def refused(tools, tiny, checkpoint, monkeypatch, capsys):
    """Runs the tool, which must fail without detecting anything; returns its one line."""
    def start(*words):
        def detect(*_):
            raise AssertionError('it began to detect')
        monkeypatch.setattr(tools.modules['test'], 'test_detector', detect)
        with pytest.raises((UserError, SystemExit)) as error:
            tools.test(tiny, checkpoint, *words)
        if isinstance(error.value, SystemExit):
            return capsys.readouterr().err.splitlines()[-1]
        assert '\n' not in str(error.value)
        return str(error.value)
    return start


@pytest.mark.parametrize('option', ['--eval-options', '--options'])
def test_evaluation_takes_its_options_and_writes_the_json_that_is_asked_for(tools, tiny, checkpoint, tmp_path, capsys, option):
    tools.test(tiny, checkpoint, '--eval', 'bbox', option, f'jsonfile_prefix={tmp_path}/new/x', 'classwise=True')
    assert isinstance(json.loads((tmp_path / 'new/x.bbox.json').read_text()), list)
    assert "'bbox_mAP'" in capsys.readouterr().out


def test_the_old_and_the_new_name_of_the_options_at_once_are_refused(refused):
    assert '--options is the old name' in refused('--eval', 'bbox', '--options', 'classwise=True', '--eval-options', 'a=1')


@pytest.mark.parametrize('option, words', [
    ('claswise=True', ['--eval-options claswise', 'CocoDataset', "Did you mean 'classwise'?"]),
    ('results=1', ['--eval-options results', 'CocoDataset', 'Known: classwise, iou_thrs, jsonfile_prefix']),
    ('logger=1', ['--eval-options logger']),
    ('data.samples_per_gpu=4', ['--eval-options data.samples_per_gpu', '--cfg-options']),
    ('classwise=maybe', ['--eval-options classwise', "expected a value of type bool, not 'maybe'"]),
    ('metric=bbox', ['--eval-options metric', '--eval bbox'])])
def test_an_option_that_the_evaluation_does_not_have_is_refused_before_detection(refused, option, words):
    message = refused('--eval', 'bbox', '--eval-options', option)
    assert all(word in message for word in words)


@pytest.mark.parametrize('words, begin', [
    (['--out', 'file/found.json'], '--out: file: '), (['--out', 'folder.pkl'], '--out: folder.pkl: is a folder'),
    (['--show-dir', 'file/shown'], '--show-dir: file/shown: '), (['--show-dir', 'file'], '--show-dir: file: '),
    (['--eval', 'bbox', '--work-dir', 'file/work'], '--work-dir: file/work: '),
    (['--format-only', '--eval-options', 'jsonfile_prefix=file/res'], '--eval-options jsonfile_prefix: file: '),
    (['--eval', 'bbox', '--eval-options', 'jsonfile_prefix=file/res'], '--eval-options jsonfile_prefix: file: ')])
def test_what_cannot_be_written_is_refused_before_detection(refused, tmp_path, monkeypatch, words, begin):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file').write_text('')
    (tmp_path / 'folder.pkl').mkdir()
    assert refused(*words).startswith(begin)


def test_paintings_that_would_replace_the_pictures_are_refused_before_detection(refused, demo):
    assert 'would replace a picture of the data' in refused('--show-dir', demo / 'val2017')


@pytest.mark.parametrize('words', [['--gpu-id', '0'], ['--gpu-ids', '0']])
def test_a_card_may_be_named_and_the_cpu_has_none(tools, tiny, checkpoint, tmp_path, words):
    tools.test(tiny, checkpoint, '--out', tmp_path / 'found.json', *words)
    assert (tmp_path / 'found.json').is_file()


@pytest.mark.parametrize('words, complaint', [
    (('--gpu-ids', '0', '0'), 'name each once'), (('--gpus', '2', '--gpu-id', '1'), 'give one of both'),
    (('--gpus', '2', '--device', 'npu:1'), 'name the kind only, such as --device npu'), (('--gpus', '0'), '1 or more')])
def test_cards_that_contradict_each_other_are_refused(refused, words, complaint):
    assert complaint in refused('--eval', 'bbox', *words)
