"""What the documents say is so: links lead somewhere, options exist, examples run, and both languages say the same."""
from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.registry import build, check
from mmdet.apis.dialects import canonical
from mmdet.models import DETECTORS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(path for path in [*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md'), *ROOT.glob('data/*.md')])
READMES = ('README.md', 'README_zh.md')
# English page and Chinese twin. CHANGELOG.md has none.
GUIDES = [('data/README.md', 'data/README_zh.md'), ('CONTRIBUTING.md', 'CONTRIBUTING_zh.md'),
          *((f'docs/en/{path.name}', f'docs/zh_cn/{path.name}') for path in sorted(ROOT.glob('docs/en/*.md')))]
TWINS = [READMES, *GUIDES]
CHINESE = re.compile('[\u4e00-\u9fff]')
COMMAND = re.compile(r'(?:python3?|bash|torchrun|pip) ')
OPTIONS_OF = re.compile(r'`tools/(\w+)\.py`.*[:\uff1a]$')  # the line that opens a list of options, in either language


def read(page):
    return (ROOT / page).read_text(encoding='utf-8')


def blocks(text, language=None):
    """Code blocks without their comments and trailing blanks: those of one language, or all."""
    found = re.findall(r'^```(\w*)\n(.*?)^```', text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r'\s*#.*', '', code) if lang else code for lang, code in found if language in (None, lang)]


def prose(text):
    return re.sub(r'^```.*?^```', '', text, flags=re.MULTILINE | re.DOTALL)


def code_words(text):
    """What stands `in backquotes` outside code blocks."""
    return re.findall(r'`([^`\n]+)`', prose(text))


def commands(text):
    """Every command that a page shows, in a block or in a sentence; continued lines are one command."""
    lines = [line for code in blocks(text, 'bash') for line in re.sub(r'\s*\\\n\s*', ' ', code).splitlines()]
    return {line.strip() for line in [*lines, *code_words(text)] if COMMAND.match(line)}


def option_lists(text):
    """The first column of each list of options, by the tool that they belong to."""
    lists, tool = {}, None
    for line in text.splitlines():
        opening = OPTIONS_OF.search(line)
        if opening or re.match(r'\*\*|#|```', line):
            tool = opening and opening.group(1)
        elif tool and line.startswith('| `-'):
            lists.setdefault(tool, []).append(re.split(r'(?<!\\)\|', line)[1].strip())
    return lists


def headings(text):
    return re.findall(r'^#+', prose(text), flags=re.MULTILINE)


def table_rows(text):
    return len(re.findall(r'^\|', prose(text), flags=re.MULTILINE))


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_local_links_lead_to_files(page):
    targets = re.findall(r'\]\(([^)#]+?)(?:#[^)]*)?\)', page.read_text(encoding='utf-8'))
    missing = [target for target in targets if '://' not in target and not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize('page', READMES)
def test_links_within_a_page_lead_to_headings(page):
    titles = re.findall(r'^#+ (.*)', prose(read(page)), flags=re.MULTILINE)
    names = [re.sub(r'[^\w\- ]', '', title).lower().replace(' ', '-') for title in titles]
    assert not [target for target in re.findall(r'\]\(#([^)]+)\)', read(page)) if target not in names]


@pytest.mark.parametrize('page', READMES)
def test_files_named_in_commands_exist(page):
    named = set(re.findall(r'(?<![\w/.])((?:tools|configs|test|tests)/[\w/]+\.(?:py|sh))', read(page)))
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize('page', sorted(f'docs/{path.parent.name}/{path.name}' for path in ROOT.glob('docs/*/*.md')))
def test_tests_that_a_page_names_exist(page):
    named = {part for code in code_words(read(page)) for part in code.split() if part.startswith('tests/')}
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize('tool, some', [('train', {'--work-dir', '--gpus', '--launcher'}),
                                        ('test', {'--eval', '--out', '--show-dir', '--eval-options'})])
def test_options_that_a_page_describes_exist(tool, some):
    usage = subprocess.run([sys.executable, f'tools/{tool}.py', '--help'], cwd=ROOT, capture_output=True, text=True, check=True)
    exist = set(re.findall(r'--[a-z][\w-]+', usage.stdout))
    for page in READMES:
        described = set(re.findall(r'--[a-z][\w-]+', ' '.join(option_lists(read(page))[tool])))
        assert some <= described <= exist


def test_both_readmes_open_with_the_two_commands():
    for page in READMES:
        assert blocks(read(page), 'bash')[0].split('\n')[:-1] == ['bash test/train_demo.sh', 'bash tests/run.sh']


def test_every_page_for_users_has_a_chinese_twin():
    missing = [chinese for _, chinese in TWINS if not (ROOT / chinese).exists()]
    assert not missing
    assert sorted(path.name for path in ROOT.glob('docs/zh_cn/*')) == sorted(path.name for path in ROOT.glob('docs/en/*'))
    untranslated = [chinese for _, chinese in TWINS if not CHINESE.search(read(chinese).split('\n', 3)[3])]  # below the title
    assert not untranslated


@pytest.mark.parametrize('english, chinese', TWINS)
def test_twins_link_to_each_other_below_their_titles(english, chinese):
    for page, twin, word in ((english, chinese, '中文'), (chinese, english, 'English')):
        title, blank, switch = read(page).splitlines()[:3]
        assert title.startswith('# ') and not blank
        label, target = re.fullmatch(r'\[(.*)\]\((.*)\)', switch).groups()
        assert label == word and (ROOT / page).parent.joinpath(target).resolve() == ROOT / twin


@pytest.mark.parametrize('english, chinese', TWINS)
def test_twins_show_the_same_commands(english, chinese):
    assert commands(read(english)) == commands(read(chinese))


@pytest.mark.parametrize('english, chinese', GUIDES)
def test_twins_have_the_same_headings_code_and_tables(english, chinese):
    one, other = read(english), read(chinese)
    assert headings(one) == headings(other)
    assert blocks(one) == blocks(other)
    assert table_rows(one) == table_rows(other)


@pytest.mark.parametrize('english, chinese', GUIDES)
def test_twins_name_the_same_things(english, chinese):
    assert set(code_words(read(english))) == set(code_words(read(chinese)))


def test_both_readmes_describe_the_same_options():
    english, chinese = (option_lists(read(page)) for page in READMES)
    assert english == chinese
    assert sorted(english) == ['test', 'train']


def test_the_chinese_readme_names_and_shows_all_that_the_english_one_does():
    english, chinese = (read(page) for page in READMES)
    assert not set(code_words(english)) - set(code_words(chinese))
    assert blocks(english, 'python') == blocks(chinese, 'python')
    assert english.count('@RESULTS@') == chinese.count('@RESULTS@')


def test_the_chinese_readme_has_the_sections_of_the_modelzoo():
    assert re.findall(r'^## (.*)', read('README_zh.md'), flags=re.MULTILINE) == [
        '概述', '准备训练环境', '准备数据集', '开始训练', '训练结果展示', '版本说明', '公网地址说明']


def test_the_chinese_readme_lists_every_public_address_in_the_code():
    code = [*ROOT.glob('mmcv_need/**/*.py'), *ROOT.glob('mmdet/**/*.py'), *ROOT.glob('tools/*'), *ROOT.glob('test/*.sh'),
            ROOT / 'calc_fps.py', *ROOT.glob('configs/**/*.py')]
    found = {(str(path.relative_to(ROOT)), address) for path in code if path.is_file()
             for address in re.findall(r'https?://[\w./#-]*\w', path.read_text(encoding='utf-8'))}
    listed = set(re.findall(r'^\| ([\w./]+) \| (https?://\S+) \|', read('README_zh.md'), flags=re.MULTILINE))
    assert found == listed


def test_git_keeps_every_page():
    rules = [line for line in read('.gitignore').splitlines() if line and not line.startswith('#')]
    ignored = []
    for page in (str(path.relative_to(ROOT)) for path in PAGES):
        last = [rule for rule in rules if fnmatch.fnmatch(page, rule.lstrip('!'))][-1:]
        ignored += [page for rule in last if not rule.startswith('!')]
    assert not ignored


def test_the_error_of_the_config_page_is_what_such_a_config_gets(tmp_path):
    shown = re.search(r'^error: configs/my\.py:(\d+)(: .*)$', read('docs/en/config.md'), flags=re.MULTILINE)
    path = tmp_path / 'my.py'
    lines = [f"_base_ = {str(ROOT / 'configs/ssd300_coco.py')!r}", *[''] * (int(shown.group(1)) - 2)]
    path.write_text('\n'.join([*lines, 'model = dict(bbox_head=dict(num_class=3))\n']), encoding='utf-8')
    with pytest.raises(ConfigError) as error:
        check(canonical(Config.fromfile(str(path))), DETECTORS, key='model')
    assert str(error.value).endswith(f'my.py:{shown.group(1)}{shown.group(2)}')


def test_the_check_of_the_config_page_says_what_the_tool_says():
    shown = next(code for code in blocks(read('docs/en/config.md')) if code.startswith('configs/') or 'a step (' in code)
    done = subprocess.run([sys.executable, 'tools/check_config.py', 'configs/ssd300_coco.py', '--gpus', '1'], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    assert shown == done.stderr + done.stdout


def test_the_backbone_of_the_contributing_guide_works(tmp_path):
    code, config = re.findall(r'```python\n(.*?)```', read('CONTRIBUTING.md'), flags=re.DOTALL)
    exec(compile(code, 'CONTRIBUTING.md', 'exec'), {'__name__': 'contributing'})
    path = tmp_path / 'tiny.py'
    path.write_text(config.replace("'configs/ssd_demo.py'", repr(str(ROOT / 'configs/ssd_demo.py'))), encoding='utf-8')
    model = build(canonical(Config.fromfile(str(path))), DETECTORS, key='model').eval()
    with torch.no_grad():
        scores, deltas = model.bbox_head(model.extract_feat(torch.zeros(1, 3, 160, 160)))
    assert scores.shape[:2] == deltas.shape[:2] and scores.shape[2] == 7


def test_the_recipe_cards_have_one_layout():
    for path in sorted(ROOT.glob('configs/*.py')):
        card = re.match(r'(?:#.*\n)+', path.read_text(encoding='utf-8')).group(0)
        names = re.findall(r'^# (\w\S*)  +\S', card, flags=re.MULTILINE)
        time = 'Minutes' if 'Minutes' in names else 'Hours'
        assert names == ['Devices', time, 'Expected', 'Images/s', 'Differences']


def test_no_page_or_recipe_card_quotes_a_placeholder():
    files = [*PAGES, *ROOT.glob('configs/**/*.py')]
    assert not [str(path.relative_to(ROOT)) for path in files if re.search(r'@[A-Z]+@', path.read_text(encoding='utf-8'))]
