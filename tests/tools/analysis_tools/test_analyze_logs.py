"""analyze_logs.py: MMDetection's lines about times, and curves, from the logs of three engines."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / 'tests/mmcv_need/data'
MMCV, MMENGINE = DATA / 'ssd300_mmcv_1.2.7.log.json', DATA / 'scalars_mmengine_0.10.7.json'


@pytest.fixture(scope='module')
def tool(load_file):
    return load_file('tools/analysis_tools/analyze_logs.py')


@pytest.fixture
def log(tmp_path):
    def write(records, name='run.log.json'):
        path = tmp_path / name
        path.write_text('\n'.join(map(json.dumps, records)))
        return path
    return write


def train(epoch, iteration, time=0.5, **values):
    return {'mode': 'train', 'epoch': epoch, 'iter': iteration, 'lr': 0.1, 'loss': 10.0 / iteration, 'time': time, **values}


def of_mmdetection(path, include_outliers):
    """What MMDetection 2's tool prints about a log whose epochs are as long as each other."""
    times = {}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        if record.get('mode', 'train') == 'train' and 'epoch' in record:
            times.setdefault(record['epoch'], []).append(record['time'])
    table = np.array([row[0 if include_outliers else 1:] for row in times.values()])
    mean = table.mean(axis=1)
    return (f'-----Analyze train time of {path}-----\nslowest epoch {mean.argmax() + 1}, average time is {mean.max():.4f}\n'
            f'fastest epoch {mean.argmin() + 1}, average time is {mean.min():.4f}\ntime std over epochs is {mean.std():.4f}\n'
            f'average iter time: {table.mean():.4f} s/iter\n\n')


@pytest.mark.parametrize('path', [MMCV, DATA / 'tiny_mmcv_1.7.2.log.json', MMENGINE], ids=lambda path: path.name)
@pytest.mark.parametrize('options', [(), ('--include-outliers',)])
def test_times_of_real_logs_are_said_in_mmdetections_words(tool, capsys, path, options):
    assert tool.main(['cal_train_time', str(path), *options]) == 0
    assert capsys.readouterr().out == of_mmdetection(path, bool(options))


def test_epochs_may_differ_in_length_and_begin_late(tool, capsys, log):
    times = [(5, 9.0), (5, 1.0), (6, 9.0), (6, 2.0), (6, 4.0), (7, 9.0)]
    path = log([train(epoch, 10 * (i + 1), time) for i, (epoch, time) in enumerate(times)])
    assert tool.main(['cal_train_time', str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[1:6] == [
        'slowest epoch 6, average time is 3.0000', 'fastest epoch 5, average time is 1.0000',
        'time std over epochs is 1.0000', 'average iter time: 2.3333 s/iter',
        'left out, as their first record is their only one: epoch 7']


def test_values_of_training_stand_over_the_iterations_of_the_run(tool):
    records = [train(1, 50, loss_cls=3.0), train(1, 100, loss_cls=2.0), {'mode': 'val', 'epoch': 1, 'iter': 7, 'bbox_mAP': 0.1},
               train(2, 50, loss_cls=1.0), train(2, 100, loss_cls=0.5)]
    assert tool.curve('x', records, 'loss_cls', 1) == ('iter', [50, 100, 150, 200], [3.0, 2.0, 1.0, 0.5])
    assert tool.curve('x', records, 'loss_cls', 2) == ('iter', [150, 200], [1.0, 0.5])


def test_a_log_of_one_later_epoch_stands_where_that_epoch_is(tool):
    records = [dict(mode='train', epoch=5, iter=i, loss=1.0, time=0.1) for i in (50, 100)]
    assert tool.curve('x', records, 'loss', 1)[1] == [450, 500]


def test_iterations_that_are_the_runs_already_stay(tool):
    records = [train(1, 50), train(1, 100), train(2, 150)]
    assert tool.curve('x', records, 'lr', 1)[1] == [50, 100, 150]


def test_metrics_stand_over_the_epochs_that_were_evaluated(tool, log):
    records = [train(4, 50), *({'mode': 'val', 'epoch': epoch, 'iter': 9, 'bbox_mAP': epoch / 10} for epoch in (2, 4))]
    for key in ('bbox_mAP', 'coco/bbox_mAP'):
        assert tool.curve('x', records, key, 1) == ('epoch', [2, 4], [0.2, 0.4])
        assert tool.curve('x', records, key, 3) == ('epoch', [4], [0.4])


@pytest.mark.parametrize('arguments, complaint', [
    (['cal_train_time', 'ONE'], 'only one train record an epoch, which does not count: add --include-outliers'),
    (['cal_train_time', 'NONE'], 'has no train record'),
    (['plot_curve', 'ONE', '--keys', 'bbox_mAP'], 'has no number bbox_mAP from epoch 1 on (was the run evaluated'),
    (['plot_curve', 'ONE', '--keys', 'los'], "has no number los from epoch 1 on. Did you mean 'loss'?"),
    (['plot_curve', 'ONE', '--keys', 'loss', '--start-epoch', '3'], 'has no number loss from epoch 3 on'),
    (['cal_train_time', 'missing.json'], 'missing.json: cannot be read: No such file or directory')])
def test_what_a_log_lacks_is_one_line_and_status_2(tool, capsys, log, arguments, complaint):
    files = {'ONE': str(log([train(1, 50), train(2, 50)])), 'NONE': str(log([{'mode': 'val', 'epoch': 1}], 'none.log.json'))}
    assert tool.main([files.get(word, word) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1 and complaint in error


def test_without_matplotlib_the_error_says_what_to_install(tool, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    assert tool.main(['plot_curve', str(MMCV)]) == 2
    assert capsys.readouterr().err == 'error: plot_curve needs matplotlib, which is not installed: pip install matplotlib\n'


@pytest.fixture
def windowless(monkeypatch):
    pytest.importorskip('matplotlib')
    monkeypatch.setenv('MPLBACKEND', 'agg')


@pytest.mark.usefixtures('windowless')
class TestFigures:
    def test_curves_of_two_engines_are_drawn_into_one_file(self, tool, capsys, tmp_path):
        out = tmp_path / 'curves.png'
        assert tool.main(['plot_curve', str(MMCV), str(MMENGINE), '--keys', 'loss', 'lr', '--legend', 'a', 'b', 'c', 'd',
                          '--title', 'Both', '--out', str(out)]) == 0
        assert capsys.readouterr().out.splitlines() == [
            *(f'plot curve of {path}, metric is {key}' for path in (MMCV, MMENGINE) for key in ('loss', 'lr')),
            f'save curve to: {out}']
        assert out.read_bytes().startswith(b'\x89PNG') and [path.name for path in tmp_path.iterdir()] == ['curves.png']

    def test_losses_and_metrics_have_axes_of_their_own_and_legends_name_file_and_key(self, tool, tmp_path, monkeypatch):
        drawn = []
        monkeypatch.setattr(tool, 'save', lambda figure, path: drawn.append(figure))
        tool.main(['plot_curve', str(MMCV), '--keys', 'loss', 'bbox_mAP', '--out', 'x.png'])
        above, below = drawn[0].axes
        assert (above.get_xlabel(), below.get_xlabel()) == ('iter', 'epoch')
        assert above.lines[0].get_xydata().tolist() == [[2, 177.74798], [4, 53.33818], [6, 26.37066], [8, 42.19603]]
        assert below.lines[0].get_xydata().tolist() == [[1, 0], [2, 0]]
        assert [axes.lines[0].get_label() for axes in drawn[0].axes] == [f'{MMCV}_loss', f'{MMCV}_bbox_mAP']

    @pytest.mark.parametrize('options, complaint', [
        ((), 'has no window to draw into (its backend is agg); give --out FILE'),
        (('--style', 'drak', '--out', 'x.png'), '--style drak: no such style.'),
        (('--out', 'x.txt'), '--out x.txt: expected a name that ends in one of .'),
        (('--backend', 'nothing', '--out', 'x.png'), '--backend nothing: ')])
    def test_what_cannot_be_drawn_is_one_line(self, tool, capsys, options, complaint):
        assert tool.main(['plot_curve', str(MMCV), *options]) == 2
        error = capsys.readouterr().err
        assert complaint in error and error.count('\n') == 1


def test_a_legend_too_few_is_refused(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(['plot_curve', str(MMCV), '--keys', 'loss', 'lr', '--legend', 'a'])
    assert '--legend: expected 2 texts' in capsys.readouterr().err
