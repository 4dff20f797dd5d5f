"""A copy of the few files that the shell scripts use, with stand-ins for training and evaluation, and what happens in it."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = [*(path.relative_to(ROOT).as_posix() for folder in ('test', 'tools') for path in (ROOT / folder).glob('*.sh')),
          'tools/make_demo_data.py', 'tools/analysis_tools/run_results.py', 'calc_fps.py',
          *(f'mmcv_need/{name}.py' for name in ('__init__', 'errors', 'mmcv_alias', 'run_logs'))]

# For the demo: two logs, of which the first ends without a newline.
TRAIN = '''
import os, pathlib, sys
print('arguments:', sys.argv[1:], flush=True)
if os.environ.get('FAIL'):
    sys.exit('out of memory, says the stand-in')
work_dir = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
work_dir.mkdir(parents=True, exist_ok=True)
logs = {"20261122_120000": """{"env_info": "x"}
{"mode": "train", "epoch": 1, "iter": 50, "loss": 3.0, "time": 0.5}
{"mode": "val", "epoch": 1, "iter": 75, "bbox_mAP": 0.3, "bbox_mAP_50": 0.8123}""",
"20261122_130000": """{"mode": "train", "epoch": 2, "iter": 50, "loss": 2.0, "time": 0.3}
{"mode": "val", "epoch": 2, "iter": 75, "bbox_mAP": 0.4, "bbox_mAP_50": 0.7}
"""}
for name, text in logs.items():
    (work_dir / f'{name}.log.json').write_text(text)
'''

# For the scripts of cards. Beside what it was told in STAND_IN it writes down how it was called.
STAND_IN = '''
import json, os, pathlib, signal, sys, time
kind = pathlib.Path(__file__).stem
names = ('ASCEND_DEVICE_ID', 'NNODES', 'NODE_RANK', 'MASTER_ADDR', 'PORT', 'HCCL_IF_IP', 'GLOO_SOCKET_IFNAME', 'CANN',
         'TASK_QUEUE_ENABLE', 'HCCL_CONNECT_TIMEOUT')
called = pathlib.Path(__file__).parents[1] / 'called.json'
called.write_text(json.dumps({'arguments': sys.argv[1:], 'environment': {n: os.environ[n] for n in names if n in os.environ}}))
print('the stand-in for', kind, flush=True)
task, _, detail = os.environ.get('STAND_IN', '').partition(':')
if task == 'exit':
    sys.exit(int(detail) if detail.isdigit() else f'error: {detail}')
if task == 'signal':
    os.kill(os.getpid(), int(detail))
if task == 'wait':
    def end(number, _):
        print('got signal', number, flush=True)
        sys.exit(int(detail))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, end)
    print('waiting', os.getpid(), flush=True)
    time.sleep(600)
work_dir = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
work_dir.mkdir(parents=True, exist_ok=True)
if task == 'place':
    pathlib.Path(detail).symlink_to('/dev/full')
if kind == 'test':
    text = {'damaged': '{"metric": {"bbox_', 'no metric': '{"metric": {"AR@100": 0.5}}'}.get(
        task, '{"config": "x", "metric": {"bbox_mAP": 0.2553, "bbox_mAP_50": 0.5}}')
    (work_dir / 'eval_20261122_120000.json').write_text(text) if task != 'no log' else None
    sys.exit()
train = [{'mode': 'train', 'epoch': 1, 'iter': i, 'memory': 9, 'loss_cls': 5.0, 'loss': 400.0 / i, 'time': t}
         for i, t in ((50, 9.0), (100, 0.5), (150, 0.5))]
val = {'mode': 'val', 'epoch': 1, 'iter': 160, 'bbox_mAP': 0.25, 'bbox_mAP_50': 0.5}
again = {'mode': 'train', 'epoch': 2, 'iter': 100, 'loss': 2.5, 'time': 0.5}
worse = {**val, 'epoch': 2, 'bbox_mAP': 0.24}
records = {'no metric': [*train, again], 'no step': [val], 'no loss': [{**train[0], 'loss': None}]}.get(
    task, [*train, val, again, worse])
lines = [json.dumps(record) for record in [{'env_info': 'x'}, *records]]
if task == 'damaged':
    lines[2] = lines[2][:20]
if task != 'no log':
    (work_dir / '20261122_120000.log.json').write_text('\\n'.join(lines) + '\\n')
'''


@pytest.fixture(scope='session')
def run():
    """Runs a command to its end, with words for its environment."""
    def call(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(word) for word in command], cwd=cwd, env={**os.environ, **environment},
                              capture_output=True, text=True, check=False)
    return call


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A repository with a stand-in for training, and an active environment that sees the packages of this Python."""
    root = tmp_path / 'a clone'  # the space is meant
    for name in COPIED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / 'requirements.txt').write_text('numpy==0.0.1  # present in another version: stays\n')
    (root / 'tools/train.py').write_text(TRAIN)
    (root / 'tools/print_config.py').write_text('print(30)\n')
    (root / 'configs').mkdir()
    (root / 'configs/ssd_demo.py').write_text('')
    (root / 'shapes').mkdir()
    active = tmp_path / 'active'
    venv.create(active, symlinks=True)
    packages = next(active.glob('lib/python*/site-packages'))
    (packages / 'shared.pth').write_text('\n'.join(path for path in sys.path if path.endswith('-packages')))
    monkeypatch.setenv('VIRTUAL_ENV', str(active))
    monkeypatch.delenv('CONDA_PREFIX', raising=False)
    return root


@pytest.fixture
def cards(clone, monkeypatch) -> Path:
    """The clone with stand-ins for the tools, data of the user's that scripts must not touch, and the configs of the cards."""
    for name in ('train', 'test'):
        (clone / f'tools/{name}.py').write_text(STAND_IN)
    (clone / 'tools/print_config.py').write_text(
        "import sys\nvalues = {'data.samples_per_gpu': 8, 'evaluation.metric': 'bbox'}\n"
        "sys.exit('error: x.py: no such key') if sys.argv[-1] not in values else print(values[sys.argv[-1]])\n")
    for name in ('ssd300_coco_npu', 'ssd300_coco_npu_8p'):
        (clone / f'configs/{name}.py').write_text('')
        (clone / f'work_dirs/{name}').mkdir(parents=True)
        (clone / f'work_dirs/{name}/latest.pth').write_text('weights of an earlier run')
        (clone / f'work_dirs/{name}/notes.txt').write_text("the user's")
    (clone / 'data/coco/annotations').mkdir(parents=True)
    (clone / 'data/coco/annotations/instances_train2017.json').write_text('{}')
    for name in ('ASCEND_DEVICE_ID', 'etp_running_flag', 'ASCEND_TOOLKIT_HOME', 'HCCL_IF_IP', 'GLOO_SOCKET_IFNAME'):
        monkeypatch.delenv(name, raising=False)
    return clone


@pytest.fixture(scope='session')
def contents():
    """What stands below some folders: path -> bytes, None for a folder."""
    def read(root: Path, *folders: str):
        paths = [path for folder in folders for path in (root / folder).rglob('*')]
        return {path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None for path in paths}
    return read
