"""What is said of a wrong input is one line that a terminal shows and does not obey, whatever stands in the input."""
from __future__ import annotations

import os
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.config.options import parse_options
from mmcv_need.errors import LONGEST, CheckpointError, ConfigError, DataError, UserError, did_you_mean, printable
from mmcv_need.logger import get_logger
from mmcv_need.serialization.pickles import load_pickle
from mmdet.apis.endings import ended, print_warning


@given(st.text(max_size=60))
def test_any_text_becomes_printable_and_then_stays_as_it_is(text):
    line = printable(text)
    assert line.isprintable() and printable(line) == line
    assert line == text or not text.isprintable()


@pytest.mark.parametrize('text, line', [
    ('a\x1b[2Jb', 'a\\x1b[2Jb'), ('a\nb\r', 'a\\nb\\r'), ('图 中.jpg', '图 中.jpg'), ('\u202egpj', '\\u202egpj'),
    ('\udcff.jpg', '\\udcff.jpg'), ('C:\\new', 'C:\\new'), ('', '')])
def test_what_is_not_printed_is_written_as_an_escape(text, line):
    assert printable(text) == line == str(UserError(text))


def test_a_message_is_bounded_and_keeps_its_beginning_and_its_end():
    line = str(DataError('where: ' + 'x' * 10**6))
    assert len(line) < LONGEST and line.startswith('where: ')
    assert str(DataError('a' * LONGEST)) == 'a' * LONGEST
    assert str(DataError('a' * (LONGEST + 9) + ' Mend it')).endswith(' Mend it')


def test_an_error_of_a_worker_arrives_as_it_was():
    for kind in (ConfigError, CheckpointError, DataError):
        sent = pickle.loads(pickle.dumps(kind('a\x1bb')))
        assert type(sent) is kind and str(sent) == 'a\\x1bb'


def test_a_name_in_a_pickle_and_one_on_a_command_line_are_shown_so(tmp_path):
    path = tmp_path / 'x.pkl'
    path.write_bytes(b'\x80\x02cnumpy\nndar\x1b[31m\n.')
    with pytest.raises(DataError, match=r'holds numpy\.ndar\\x1b\[31m;'):
        load_pickle(str(path))
    with pytest.raises(ConfigError, match=r"a\\x1b: the brackets of '\(b\\x1b' do not match"):
        parse_options(['a\x1b=(b\x1b'])


def test_warnings_and_errors_of_files_are_shown_so_too(capsys, tmp_path):
    print_warning('a\nb\x1b[2J')
    assert ended(lambda words: os.listdir(tmp_path / 'no\nwhere'), []) == 2
    assert ended(lambda words: did_you_mean(1 / 0, []), []) == 1
    warning, error, *trace = capsys.readouterr().err.splitlines()
    assert warning == 'warning: a\\nb\\x1b[2J'
    assert error == f'error: {tmp_path}/no\\nwhere: No such file or directory'
    assert trace[0].startswith('Traceback')


def test_a_log_shows_what_a_file_has_chosen_and_a_terminal_does_not_obey_it(tmp_path, capsys):
    logger = get_logger('of a test', str(tmp_path / 'x.log'))
    logger.info('load_from %s:\n%s', 'x.pth', 'a\x1b[2J\r\t图  2x3\nb')
    get_logger('of a test')  # closes the file
    for text in (capsys.readouterr().out, (tmp_path / 'x.log').read_text()):
        assert text.split(' - ')[-1] == 'load_from x.pth:\na\\x1b[2J\\r\t图  2x3\nb\n'
