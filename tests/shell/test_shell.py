"""The shell scripts: clean by shellcheck, careful with what they are given, honest about what happened.

Scripts run in a copy of the few files they use, with a stand-in for training that writes a log and exits as told.
"""
from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for folder in ('test', 'tests', 'tools') for path in
                 (ROOT / folder).rglob('*.sh')) + ['.ci/run']

def test_every_script_is_clean_by_shellcheck(run):
    shellcheck = shutil.which('shellcheck', path=f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}')
    if shellcheck is None:
        pytest.skip('shellcheck is not installed')
    result = run(shellcheck, '-x', *SCRIPTS, cwd=ROOT)
    assert result.returncode == 0, result.stdout


def test_the_demo_trains_and_reports_what_the_logs_say(clone, run):
    result = run('bash', 'test/train_demo.sh', '--data_path=shapes', '--train_epochs=7', '--device=cpu', cwd=clone)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[-4:-1] == [
        '------------------ Final result ------------------',
        'Final Performance images/sec : 75.00',  # 30 pictures * 100 iterations in 50 * 0.5 s + 50 * 0.3 s
        'Final Train Accuracy : 0.8123',  # the best of both runs, not the last
    ]
    assert lines[-1].startswith('E2E Training Duration sec : ')
    log = (clone / 'test/output/demo/train_demo.log').read_text()
    assert lines[0] == log.splitlines()[0]
    assert log.startswith("arguments: ['configs/ssd_demo.py', '--work-dir', 'work_dirs/ssd_demo', '--auto-resume', "
                          f"'--seed', '0', '--device', 'cpu', '--data-root', '{clone}/shapes', "
                          "'--cfg-options', 'runner.max_epochs=7']")


def test_overwrite_is_passed_on_and_takes_no_value(clone, run):
    result = run('bash', 'test/train_demo.sh', '--data_path=shapes', '--overwrite', cwd=clone)
    assert result.returncode == 0, result.stderr
    assert "'--overwrite', '--seed'" in result.stdout and '--auto-resume' not in result.stdout
    refused = run('bash', 'test/train_demo.sh', '--data_path=shapes', '--overwrite=yes', cwd=clone)
    assert refused.returncode == 2 and 'without a value: overwrite' in refused.stderr


def test_paths_are_relative_to_where_the_user_stands(clone, run):
    outside = clone.parent
    result = run('bash', clone / 'test/train_demo.sh', '--data_path=a clone/shapes', '--work_dir=here', cwd=outside)
    assert result.returncode == 0, result.stderr
    assert (outside / 'here/20261122_120000.log.json').is_file()


def test_without_a_data_path_the_dataset_is_drawn_once(clone, run):
    drawing = clone / 'tools/make_demo_data.py'
    drawing.write_text(drawing.read_text().replace('default=600', 'default=2').replace('default=120', 'default=1'))
    for state in ('written', 'already there, nothing to do'):
        result = run('bash', 'test/train_demo.sh', cwd=clone)
        assert result.returncode == 0, result.stderr
        assert state in result.stdout
        assert "'--data-root', 'data/demo']" in result.stdout
    assert len(list((clone / 'data/demo/train2017').iterdir())) == 2


def test_a_failed_training_shows_its_cause_and_no_result(clone, run):
    result = run('bash', 'test/train_demo.sh', '--data_path=shapes', cwd=clone, FAIL='1')
    assert result.returncode == 1
    assert 'out of memory, says the stand-in' in result.stdout
    assert 'training ended with exit status 1' in result.stderr
    assert 'Final' not in result.stdout


@pytest.mark.parametrize('flag, complaint', [
    ('--data_pathX=shapes', "unknown flag '--data_pathX=shapes'; known, each as --name=value: data_path work_dir"),
    ('--batch=8', 'unknown flag'),
    ('shapes', 'unknown flag'),
    ('--PATH=/tmp', 'unknown flag'),
    ('--data_path work_dir=x', 'unknown flag'),
    ('--data_path', 'needs a value'),
    ('--data_path=', 'needs a value'),
    ('--train_epochs=0', '--train_epochs must be a whole number of 1 or more'),
    ('--train_epochs=1;touch owned', '--train_epochs must be'),
    ('--train_epochs=$(touch owned)', '--train_epochs must be'),
    ('--train_epochs=1\n2', '--train_epochs must be'),
    ('--train_epochs=a[$(touch owned)]', '--train_epochs must be'),
    ('--device=cpu --launcher=x', '--device must be auto, npu, cuda or cpu'),
    ('--data_path=$(touch owned)', "--data_path: no folder '$(touch owned)'"),
    ('--config=x.py;touch owned', '--config: no file'),
])
def test_a_flag_that_is_unknown_or_hostile_is_refused_without_effect(clone, run, flag, complaint):
    before = sorted(clone.rglob('*'))
    result = run('bash', 'test/train_demo.sh', flag, cwd=clone)
    assert result.returncode == 2
    assert complaint in result.stderr and 'Traceback' not in result.stderr
    assert sorted(clone.rglob('*')) == before


def test_a_hostile_folder_name_is_only_a_name(clone, run):
    hostile = clone / '$(touch owned); touch owned'
    hostile.mkdir()
    flags = (f'--data_path={hostile}', f'--work_dir={hostile}/`touch owned`')
    result = run('bash', 'test/train_demo.sh', *flags, cwd=clone)
    assert result.returncode == 0, result.stderr
    assert not list(clone.rglob('owned'))


def test_a_log_without_evaluation_says_so_instead_of_an_accuracy(clone, run):
    (clone / 'run.log.json').write_text('{"mode": "train", "epoch": 1, "iter": 50, "time": 0.5}\n')
    result = run('bash', '-c', 'source test/common.sh; best_metric bbox_mAP run.log.json; total_fps run.log.json 2 8',
                 cwd=clone, PYTHON=sys.executable)
    assert result.stdout.splitlines() == ['none: the log holds no bbox_mAP', '32.00']


def test_the_active_environment_is_used_and_left_as_it_is(clone, run):
    result = run('bash', '-c', 'set -euo pipefail; source tools/python_env.sh; python_env requirements.txt; '
                 'echo "$PYTHON"; echo "$OMP_NUM_THREADS"; pwd', cwd=clone, OMP_NUM_THREADS='')
    assert result.returncode == 0, result.stderr
    python, threads, folder = result.stdout.splitlines()
    assert python == f'{os.environ["VIRTUAL_ENV"]}/bin/python'
    assert 1 <= int(threads) <= 8
    assert folder == str(clone)
    assert not (clone / '.venv').exists()


def test_what_is_present_is_upgraded_only_in_an_environment_that_the_script_made(clone, run):
    query = 'source tools/python_env.sh; env_query "$VIRTUAL_ENV/bin/python" missing requirements.txt'
    assert run('bash', '-c', query, cwd=clone).stdout == ''
    (Path(os.environ['VIRTUAL_ENV']) / 'made_by_python_env').touch()
    follows_pins = sys.version_info >= (3, 11)
    assert run('bash', '-c', query, cwd=clone).stdout == ('numpy==0.0.1\n' if follows_pins else '')


def test_a_requirement_for_newer_pythons_only_is_left_out_on_older_ones(clone, run):
    lines = 'a-new==1.0 ; python_version >= "3.99"\nan-old==1.0 ; python_version >= "3.8"\n'
    (clone / 'requirements.txt').write_text(lines)
    query = 'source tools/python_env.sh; env_query "$VIRTUAL_ENV/bin/python" missing requirements.txt'
    assert run('bash', '-c', query, cwd=clone).stdout.startswith('an-old')


def test_a_package_that_cannot_be_installed_ends_in_one_line_of_advice(clone, run):
    (clone / 'requirements.txt').write_text('no-such-package-for-ssd==1.0\n')
    result = run('bash', 'test/train_demo.sh', '--data_path=shapes', cwd=clone, PIP_NO_INDEX='1', PIP_FIND_LINKS='')
    assert result.returncode == 1
    assert 'Without a network:' in result.stderr.splitlines()[-1]
    assert '--no-index --find-links DIR_OF_WHEELS' in result.stderr.splitlines()[-1]


def test_an_environment_whose_python_is_gone_is_named(clone, run):
    (Path(os.environ['VIRTUAL_ENV']) / 'bin/python').unlink()
    result = run('bash', 'test/train_demo.sh', '--data_path=shapes', cwd=clone)
    assert result.returncode == 1
    assert 'has no working Python >= 3.8; deactivate it or mend it' in result.stderr


def test_a_broken_dot_venv_is_named_and_kept(clone, run):
    (clone / '.venv').mkdir()
    result = run('bash', 'test/train_demo.sh', '--data_path=shapes', cwd=clone, VIRTUAL_ENV='')
    assert result.returncode == 1
    assert 'its Python does not run; move it away' in result.stderr
    assert (clone / '.venv').is_dir()
