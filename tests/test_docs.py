"""What the documents say is so: links lead somewhere, options exist, examples run."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmcv_need.config import Config
from mmcv_need.registry import build
from mmdet.apis.dialects import canonical
from mmdet.models import DETECTORS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(path for path in [*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md'), *ROOT.glob('data/*.md')])


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_local_links_lead_to_files(page):
    targets = re.findall(r'\]\(([^)#]+?)(?:#[^)]*)?\)', page.read_text(encoding='utf-8'))
    missing = [target for target in targets if '://' not in target and not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize('page', ['README.md', 'README_zh.md'])
def test_files_named_in_commands_exist(page):
    text = (ROOT / page).read_text(encoding='utf-8')
    named = set(re.findall(r'(?<![\w/.])((?:tools|configs|test|tests)/[\w/]+\.(?:py|sh))', text))
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize('page', ['README.md', 'README_zh.md'])
def test_options_of_training_exist(page):
    text = (ROOT / page).read_text(encoding='utf-8')
    described = set(re.findall(r'^(?:\| `)?(--[a-z][\w-]+)', text, flags=re.MULTILINE))
    command = [sys.executable, 'tools/train.py', '--help']
    usage = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert '--work-dir' in described and '--launcher' in described
    assert not [option for option in described if option not in usage]


def test_both_readmes_open_with_the_two_commands():
    for page in ('README.md', 'README_zh.md'):
        block = re.search(r'```bash\n(.*?)```', (ROOT / page).read_text(encoding='utf-8'), flags=re.DOTALL).group(1)
        assert [line.split('#')[0].strip() for line in block.splitlines()] == ['bash test/train_demo.sh', 'bash tests/run.sh']


def test_the_backbone_of_the_contributing_guide_works(tmp_path):
    code, config = re.findall(r'```python\n(.*?)```', (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8'), flags=re.DOTALL)
    exec(compile(code, 'CONTRIBUTING.md', 'exec'), {'__name__': 'contributing'})
    path = tmp_path / 'tiny.py'
    path.write_text(config.replace("'configs/ssd_demo.py'", repr(str(ROOT / 'configs/ssd_demo.py'))), encoding='utf-8')
    model = build(canonical(Config.fromfile(str(path))), DETECTORS, key='model').eval()
    with torch.no_grad():
        scores, deltas = model.bbox_head(model.extract_feat(torch.zeros(1, 3, 160, 160)))
    assert scores.shape[:2] == deltas.shape[:2] and scores.shape[2] == 7


def test_no_page_quotes_a_placeholder():
    assert not [page.name for page in PAGES if '@RESULTS@' in page.read_text(encoding='utf-8')]
