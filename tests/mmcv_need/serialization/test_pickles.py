"""Pickles of plain data and arrays are read whatever wrote them; nothing that a file names is run."""
from __future__ import annotations

import contextlib
import os
import pickle
import struct
import subprocess

import numpy as np
import pytest

from mmcv_need.errors import DataError
from mmcv_need.serialization import pickles
from mmcv_need.serialization.pickles import load_pickle

BOXES = np.arange(15, dtype=np.float32).reshape(3, 5)
ARRAYS = {
    'boxes': BOXES, 'empty': np.zeros((0, 5), np.float32), 'columns': np.asfortranarray(BOXES), 'strided': BOXES[::2, 1::2],
    'no_axis': np.array(3.5), 'swapped': BOXES.astype('>f8'), 'integers': np.array([[1, -2]]), 'bytes': np.array([7], np.uint8),
    'truths': np.array([True, False]), 'half': BOXES.astype(np.float16)}


@pytest.fixture
def read(tmp_path):
    """Reads bytes as a file."""
    def load(raw):
        (tmp_path / 'found.pkl').write_bytes(raw)
        return load_pickle(str(tmp_path / 'found.pkl'))
    return load


@pytest.fixture
def refused(read):
    """Reads bytes, which must be refused; returns the one line."""
    def load(raw):
        with pytest.raises(DataError) as error:
            read(raw)
        assert 'found.pkl: ' in str(error.value) and '\n' not in str(error.value)
        return str(error.value)
    return load


def same(a, b):
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def written_by(raw, core):
    """A pickle of protocol 2 or 4 as the numpy that calls its core so writes it."""
    for ours in ('numpy._core', 'numpy.core'):
        for module in ('multiarray', 'numeric'):
            old, new = f'{ours}.{module}', f'{core}.{module}'
            raw = raw.replace(old.encode() + b'\n', new.encode() + b'\n')
            raw = raw.replace(b'\x8c' + bytes([len(old)]) + old.encode(), b'\x8c' + bytes([len(new)]) + new.encode())
    if raw[1] >= 4 and raw[2:3] == b'\x95':  # one frame, whose length may be another now
        raw = raw[:3] + struct.pack('<Q', len(raw) - 11) + raw[11:]
    return raw


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize('name', ARRAYS)
def test_arrays_come_back_whatever_the_protocol(read, protocol, name):
    array = read(pickle.dumps([[ARRAYS[name], ARRAYS[name]]], protocol))[0][1]
    assert same(array, ARRAYS[name])
    array[...] = 1  # it can be written to, as any array


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_and_numpy_scalars_come_back(read, protocol):
    value = {'a': [1, -2 ** 70, 0.5, True, None, 'Straße', b'\x00\xff', b''], 3: (np.float32(0.5), np.int64(4), (), {}),
             'boxes': ([BOXES], {'deep': [(BOXES,)]})}
    assert same(read(pickle.dumps(value, protocol)), value)


@pytest.mark.parametrize('core', ['numpy.core', 'numpy._core'])
@pytest.mark.parametrize('protocol', [2, 4, 5])
def test_files_of_numpy_1_and_of_numpy_2_are_read(read, protocol, core):
    value = [[BOXES, ARRAYS['strided'], np.float64(2)]]
    raw = written_by(pickle.dumps(value, protocol), core)
    other = 'numpy.core' if core == 'numpy._core' else 'numpy._core'
    assert core.encode() in raw and other.encode() not in raw
    assert same(read(raw), value)


def test_lists_that_are_shared_or_hold_themselves_stay_so(read):
    shared = [BOXES]
    value = read(pickle.dumps([shared, (shared,), shared]))
    assert value[0] is value[2] is value[1][0] and same(value[0], [BOXES])
    loop = [BOXES]
    loop.append(loop)
    value = read(pickle.dumps(loop))
    assert value[1] is value and same(value[0], BOXES)


class Runs:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize('name', ['system', 'call', 'eval', 'exec', 'getattr'])
def test_nothing_that_a_file_names_is_run(refused, tmp_path, protocol, name):
    marker = str(tmp_path / 'marker')
    harm = {'system': Runs(os.system, f'mkdir {marker}'), 'call': Runs(subprocess.call, ['mkdir', marker]),
            'eval': Runs(eval, f'__import__("os").mkdir({marker!r})'), 'exec': Runs(exec, f'import os; os.mkdir({marker!r})'),
            'getattr': Runs(getattr, Runs(os.mkdir, marker), 'imag')}[name]
    raw = pickle.dumps([[BOXES, harm]], protocol)
    message = refused(raw)
    assert f'.{name};' in message and 'nothing but plain data' in message
    assert not os.path.exists(marker)
    with contextlib.suppress(AttributeError):  # of getattr, which comes last
        pickle.loads(raw)
    assert os.path.exists(marker)  # the file is a harmful one


@pytest.mark.parametrize('value, what', [
    (np.array([BOXES, None], dtype=object), "an array of 'O8'"), (np.zeros(2, dtype=[('x', 'f4')]), "an array of 'V4'"),
    (np.array(['text']), "an array of 'U4'"), ({1, 2}, 'a set'), (np.dtype('f4'), 'a DType'), (np.ndarray, 'a function'),
    (np.random.RandomState, 'numpy.random'), (range(3), 'range'), (slice(1), 'slice')])
def test_what_is_no_plain_data_is_refused_by_its_name(refused, value, what):
    message = refused(pickle.dumps([value]))
    assert what in message and 'damaged' not in message


def test_a_file_cannot_change_what_stands_for_numpys_functions(read, refused):
    """The opcode BUILD sets attributes of what is on the stack: here `__defaults__` of the function that makes bytes."""
    before = pickles.latin1_bytes.__defaults__
    raw = b'c_codecs\nencode\n(N(V__defaults__\n(Vx\nVlatin1\ntdtb.'
    assert 'a function' in refused(raw)
    assert pickles.latin1_bytes.__defaults__ == before
    assert read(b'c__builtin__\nbytes\n(tR.') == b''


@pytest.mark.parametrize('raw', [
    b'c_codecs\nencode\n(Vx\nVrot13\ntR.', b'cnumpy\nndarray\n(tR.', b'c__builtin__\nbytes\n(I9999999999\ntR.'])
def test_a_call_that_numpy_would_not_write_is_refused(refused, raw):
    refused(raw)


@pytest.mark.parametrize('protocol', [0, 2, 4, 5])
def test_a_file_that_is_cut_off_anywhere_is_one_line(refused, protocol):
    raw = pickle.dumps([[BOXES, 'text', 1.5]], protocol)
    for length in range(len(raw) - 1):
        assert 'a damaged one' in refused(raw[:length])


@pytest.mark.parametrize('raw', [b'', b'[{"image_id": 1}]', b'\x1f\x8b\x08\x00', b'PK\x03\x04', b'\x80\x09.', b'\x00' * 50])
def test_a_file_that_is_no_pickle_is_one_line(refused, raw):
    assert 'not a pickle' in refused(raw)


def test_an_array_with_too_few_numbers_for_its_shape_is_one_line(refused):
    raw = pickle.dumps(BOXES, 2)
    assert b'K\x03K\x05' in raw
    assert 'a damaged one' in refused(raw.replace(b'K\x03K\x05', b'K\xffK\xff'))


@pytest.mark.parametrize('name', ['missing.pkl', '.'])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, name):
    with pytest.raises(DataError, match=r'cannot be read \((No such file|Is a directory)'):
        load_pickle(str(tmp_path / name))


@pytest.mark.parametrize('build', [b'cnumpy\nndarray\n}X\x05\x00\x00\x00dtypeX\x01\x00\x00\x00Osb', b'N'])
def test_bytes_never_become_addresses_whatever_is_given_for_their_type(refused, build):
    """An attribute that the file sets on what stands for a name is no type."""
    arguments = b'(C\x08AAAAAAAA' + build + b'K\x01\x85X\x01\x00\x00\x00CtR.'
    assert 'an array of' in refused(b'\x80\x03cnumpy._core.numeric\n_frombuffer\n' + arguments)
    assert 'an array of' in refused(b'\x80\x03cnumpy._core.multiarray\nscalar\n(' + build + b'C\x08AAAAAAAAtR.')


KEY = b'K\x01s.'  # the value below becomes a key: its hash is asked for
EXHAUSTING = {
    'a place in a table': b'\x80\x02]r\xff\xff\xff\x7f.', 'a place in a table, as text': b']p2000000000\n.',
    'tuples in tuples': b'\x80\x02})' + b'\x85' * 1_000_000 + KEY,
    'tuples in tuples by marks': b'}' + b'(' * 200_000 + b't' * 200_000 + KEY,
    'tuples by the table': b'})p0\n' + b'0g0\n\x85p0\n' * 200_000 + KEY,
    'tuples in sets': b'\x80\x04\x8f(' + b')' + b'\x85' * 200_000 + b'\x90.',
}


@pytest.mark.parametrize('name', EXHAUSTING)
def test_a_file_that_would_use_up_memory_or_stack_is_refused_and_does_not_end_the_process(refused, name):
    assert 'made to use up' in refused(EXHAUSTING[name])


@pytest.mark.parametrize('raw', [b'0.', b'\x85.', b't.', b'g7\n.', b'2.', b'a.', b'\x80\x04\x94.', b'R.', b'(s.', b'b.'])
def test_a_file_that_takes_what_is_not_there_is_one_line(refused, raw):
    assert 'a damaged one' in refused(raw)


def test_the_length_of_a_file_is_no_reason_to_refuse_it(read):
    value = [[(i, (i, (i,))) for i in range(300)] for _ in range(500)]
    assert read(pickle.dumps(value)) == value


def test_what_cannot_be_read_to_its_end_leaves_no_word_on_the_screen(refused, capfd):
    refused(b'\x80\x05\x96\xff\x00\x00\x00\x00\x00\x00\x00ab.')
    assert capfd.readouterr().err == ''
