"""Checkpoints of MMCV and MMEngine load as data; hostile ones do nothing but be refused."""
from __future__ import annotations

import builtins
import os
import pickle
import struct
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mmcv_need.checkpoint import find_latest, read_checkpoint
from mmcv_need.errors import CheckpointError
from mmcv_need.weights import load_weights, state_dict_of

DATA = Path(__file__).parent / 'data'


def network():
    model = torch.nn.Sequential()
    model.add_module('conv', torch.nn.Conv2d(3, 4, 3))
    model.add_module('bn', torch.nn.BatchNorm2d(4))
    return model


def is_plain(value):
    if type(value) is dict:
        return all(type(key) in (str, int) and is_plain(item) for key, item in value.items())
    if type(value) in (list, tuple):
        return all(map(is_plain, value))
    return type(value) in (str, bytes, int, float, bool, type(None), torch.Tensor)


# Files that the engines wrote


@pytest.mark.parametrize('name', ['mmcv_1.7.2', 'mmengine_0.10.7'])
def test_a_training_file_of_another_engine_loads_into_a_model_and_its_optimizer(name):
    read = read_checkpoint(str(DATA / f'{name}.pth'))
    assert is_plain(read)
    model = network()
    assert not any(load_weights(model, state_dict_of(read), name, strict=True))
    assert (read['meta']['epoch'], read['meta']['iter']) == (2, 6)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    optimizer.load_state_dict(read['optimizer'])
    assert optimizer.param_groups[0]['lr'] == read['optimizer']['param_groups'][0]['lr'] != 1.0
    assert all(state['momentum_buffer'].abs().sum() > 0 for state in optimizer.state.values())


def test_what_mmengine_keeps_beside_the_weights_comes_as_plain_data():
    read = read_checkpoint(str(DATA / 'mmengine_0.10.7.pth'))
    assert list(read) == ['meta', 'state_dict', 'message_hub', 'optimizer', 'param_schedulers']
    rates = read['message_hub']['log_scalars']['train/lr']
    assert rates['_log_history'].tolist() == pytest.approx([1e-5, 5.005e-3, 1e-2, 1e-3, 1e-3, 1e-3], rel=1e-12)
    assert rates['_count_history'].tolist() == [1] * 6
    assert set(rates['statistics_methods'].values()) == {None}  # which were functions
    assert read['message_hub']['runtime_info']['eta'] == 0.0
    assert read['param_schedulers'][1]['milestones'] == {1: 1}


@pytest.mark.newer_torch
def test_torch_itself_refuses_the_file_of_mmengine():
    with pytest.raises(pickle.UnpicklingError):
        torch.load(DATA / 'mmengine_0.10.7.pth', weights_only=True)


def parts_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_files_written_with_numpy_1_and_with_numpy_2_are_read(tmp_path):
    parts = parts_of(DATA / 'mmengine_0.10.7.pth')
    assert b'cnumpy._core.multiarray\n' in parts['archive/data.pkl']
    parts['archive/data.pkl'] = parts['archive/data.pkl'].replace(b'cnumpy._core.', b'cnumpy.core.')
    with zipfile.ZipFile(tmp_path / 'x.pth', 'w') as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    old, new = read_checkpoint(str(tmp_path / 'x.pth')), read_checkpoint(str(DATA / 'mmengine_0.10.7.pth'))
    assert old['message_hub']['runtime_info'] == new['message_hub']['runtime_info'] and is_plain(old)


@pytest.mark.parametrize('meta, classes', [
    ({'dataset_meta': {'classes': ('a', 'b'), 'palette': [(1, 2, 3)]}}, ('a', 'b')),
    ({'dataset_meta': {'CLASSES': ['a']}}, ['a']),
    ({'CLASSES': ['c'], 'dataset_meta': {'classes': ['a']}}, ['c']), ({'dataset_meta': {}}, None), ({}, None)])
def test_the_names_of_the_labels_stand_at_one_place(tmp_path, meta, classes):
    torch.save({'meta': meta, 'state_dict': {}}, tmp_path / 'x.pth')
    assert read_checkpoint(str(tmp_path / 'x.pth'))['meta'].get('CLASSES') == classes


def test_tensors_of_a_vendors_device_come_to_the_cpu(tmp_path):
    parts = parts_of(DATA / 'mmcv_1.7.2.pth')
    name = b'ctorch_xyz.utils.storage\n_rebuild_xyz_tensor\n'  # as such packages write them; they add a memory layout
    pickled = parts['archive/data.pkl'].replace(b'ctorch._utils\n_rebuild_tensor_v2\n', name).replace(b'X\x03\x00\x00\x00cpu',
                                                                                                   b'X\x05\x00\x00\x00xyz:3')
    with zipfile.ZipFile(tmp_path / 'x.pth', 'w') as archive:
        for key, part in {**parts, 'archive/data.pkl': pickled}.items():
            archive.writestr(key, part)
    there, here = (state_dict_of(read_checkpoint(str(path))) for path in (tmp_path / 'x.pth', DATA / 'mmcv_1.7.2.pth'))
    assert list(there) == list(here) and all(torch.equal(there[key], here[key]) for key in here)


def test_text_of_a_config_in_a_checkpoint_is_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    harm = "__import__('os').mkdir('executed')\nmodel = dict(type=__import__('os').mkdir('executed'))\n"
    meta = {'iter': 1, 'epoch': 1, 'config': harm, 'cfg': harm}
    torch.save({'meta': meta, 'state_dict': {}, 'optimizer': {}}, 'epoch_1.pth')
    assert read_checkpoint('epoch_1.pth')['meta']['config'] == harm == find_latest('.').content['meta']['cfg']
    assert os.listdir('.') == ['epoch_1.pth']


# Hostile files


class Calls:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def write(path, raw, zipped, storages=()):
    """A file in torch's format around the pickle of its content."""
    if zipped:
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('archive/data.pkl', raw)
            for key in storages:
                archive.writestr(f'archive/data/{key}', bytes(16))
    else:
        head = [0x1950a86a20f9469cfc6c, 1001, {'little_endian': True}]
        tail = pickle.dumps(list(storages), 2) + b''.join(struct.pack('<q', 4) + bytes(16) for _ in storages)
        path.write_bytes(b''.join(pickle.dumps(value, 2) for value in head) + raw + tail)


CANARY = 'executed'
CALLS = {
    'os.system': Calls(os.system, f'mkdir {CANARY}'),
    'os.mkdir': Calls(os.mkdir, CANARY),
    'eval': Calls(eval, f"__import__('os').mkdir('{CANARY}')"),
    'exec': Calls(exec, f"import os; os.mkdir('{CANARY}')"),
    'open': Calls(open, CANARY, 'w'),
    'Popen': Calls(subprocess.Popen, ['mkdir', CANARY]),
    'import': Calls(builtins.__import__, 'antigravity'),
    'setattr': Calls(setattr, CANARY, CANARY, 1),
    'torch.save': Calls(torch.save, 1, CANARY),
    'torch.from_file': Calls(torch.from_file, CANARY, True, 8, torch.float32),
    'torch.load': Calls(torch.load, CANARY),
    'numpy.save': Calls(np.save, CANARY, 1),
    'module': Calls(torch.nn.Linear, 2, 2),
}
ZIPPED = pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'stream'])


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """Writes the pickle of a content into a file and reads that, which must be refused and leave nothing; the one line."""
    monkeypatch.chdir(tmp_path)

    def read(raw, zipped=True, storages=()):
        path = Path('x.pth')
        write(path, raw, zipped, storages)
        with pytest.raises(CheckpointError) as error:
            read_checkpoint(str(path))
        message = str(error.value)
        assert message.startswith('x.pth: ') and '\n' not in message and len(message) < 400
        assert os.listdir('.') == ['x.pth']  # no canary, and no file with another name
        return message
    return read


@ZIPPED
@pytest.mark.parametrize('protocol', [0, 2, 4])
@pytest.mark.parametrize('name', CALLS)
def test_nothing_that_a_file_names_is_run(refusal, name, protocol, zipped):
    message = refusal(pickle.dumps({'state_dict': {'a': 1}, 'meta': [CALLS[name]]}, protocol), zipped)
    assert message.endswith('; expected nothing but tensors and plain data. Nothing of the file was run')


def text(word):
    return b'X' + struct.pack('<I', len(word)) + word.encode()


def call(module, name, *arguments):
    return f'c{module}\n{name}\n'.encode() + b'(' + b''.join(arguments) + b'tR'


DICT, LIST = b'ccollections\nOrderedDict\n', b'ccollections\ndeque\n'
RECORD, GETATTR = b'cmmengine.logging.history_buffer\nHistoryBuffer\n', b'c__builtin__\ngetattr\n'


def array(dtype):
    return call('numpy.core.numeric', '_frombuffer', b'C\x08AAAAAAAA', dtype, b'K\x01\x85', text('C'))


def slot(name, value):
    return b'(N}' + text(name) + value + b'stb'


# What stands for a name of the file must not become something else by what the file does to it. With a part of the refusal.
GAMES = {
    'an attribute of a function': (GETATTR + b'}' + text('dtype') + text('O') + b'sb', "no attribute '__dict__'"),
    'the function of a function': (GETATTR + slot('function', DICT), "can't set attribute"),
    'an attribute of a class': (LIST + slot('dtype', text('O')), 'holds a change of ListLike'),
    'attributes of a class by a dict': (LIST + b'}' + text('extend') + GETATTR + b'sb', 'mappingproxy'),
    'a method of a class': (DICT + slot('__setstate__', GETATTR), '__setstate__'),
    'the class of an object': (LIST + b')R' + slot('__class__', DICT), '__class__ assignment'),
    'the state of an object': (RECORD + b')\x81' + slot('__class__', DICT), 'holds a Sealed'),
    'an object that was never filled': (RECORD + b')\x81', "no attribute 'attributes'"),
    'a method by its name': (call('builtins', 'getattr', text('x'), text('join')) + b')R', 'not callable'),
    'an attribute of an attribute': (b'\x80\x04' + text('collections') + text('OrderedDict.__init__') + b'\x93', '__init__'),
    'a class made by its metaclass': (call('builtins', 'type', text('X'), b')', b'}'), 'holds builtins.type'),
    'a dict whose factory is a function': (call('collections', 'defaultdict', b'cos\nsystem\n'), 'holds os.system'),
    'a class as the type of an array': (array(DICT), 'holds an array of Sealed'),
    'a tensor type as the type of an array': (array(b'ctorch\nfloat32\n'), 'holds an array of dtype'),
    'an array of objects': (call('numpy', 'dtype', text('O8'), b'\x89', b'\x88'), "holds an array of 'O8'"),
    'a tensor without a storage': (call('torch._utils', '_rebuild_tensor', b'N', b'K\x00', b')', b')'), 'without a storage'),
    'a module as the source of its code': (b'(' + text('module') + RECORD + text('a') + text('b') + b'NtQ', 'holds a module'),
    'a reference that is no tuple': (b'K\x05Q', 'holds a reference'),
    'an old-style instance': (b'(' + text('x') + b'ios\nsystem\n', 'holds os.system'),
    'an old-style object': (b'(cos\nsystem\n' + text('mkdir executed') + b'o', 'holds os.system'),
    'an extension': (b'\x82\x01', 'unregistered extension'),
    'a list for a key': (b'}]K\x01s', 'unhashable'),
    'an object for a key': (b'}' + GETATTR + b'K\x01s', 'holds a dict with a Call for a key'),
}


@pytest.mark.newer_torch
@ZIPPED
@pytest.mark.parametrize('game', GAMES)
def test_what_stands_for_a_name_cannot_be_changed_or_misused(refusal, game, zipped):
    played, words = GAMES[game]
    assert words in refusal(b'\x80\x03}' + text('state_dict') + played + b's.', zipped)


def storage(key, kind='FloatStorage', count=b'K\x04', location='cpu'):
    return b'(' + text('storage') + f'ctorch\n{kind}\n'.encode() + text(key) + text(location) + count + b'tQ'


def tensor(held, offset=b'K\x00', size=b'K\x04\x85', stride=b'K\x01\x85'):
    return call('torch._utils', '_rebuild_tensor_v2', held, offset, size, stride, b'\x89', DICT + b')R')


def content(value):
    return b'\x80\x02}' + text('state_dict') + value + b's.'


@ZIPPED
def test_the_tensors_of_these_tests_are_read_where_they_are_right(tmp_path, zipped):
    write(tmp_path / 'x.pth', content(tensor(storage('0'))), zipped, ['0'])
    assert torch.equal(read_checkpoint(str(tmp_path / 'x.pth'))['state_dict'], torch.zeros(4))


HUGE = b'\x8a\x08' + struct.pack('<q', 2 ** 61)
OUTSIDE = {
    'an offset beyond the end': tensor(storage('0'), offset=b'K\x01'),
    'a size beyond the end': tensor(storage('0'), size=b'K\x05\x85'),
    'steps beyond the end': tensor(storage('0'), stride=b'K\x02\x85'),
    'an offset before the start': tensor(storage('0'), offset=b'J\xff\xff\xff\xff'),
    'sizes that overflow': tensor(storage('0'), size=HUGE + HUGE + b'\x86', stride=HUGE + HUGE + b'\x86'),
    'a storage of wider numbers': tensor(storage('0', 'DoubleStorage')),
    'a storage of more numbers': tensor(storage('0', count=HUGE)),
    'a storage of fewer than none': tensor(storage('0', count=b'J\xff\xff\xff\xff')),
    'a storage that is not there': tensor(storage('9')),
    'a storage outside the file': tensor(storage('../../../etc/passwd')),
    'a storage of no numbers': tensor(storage('0', 'QUInt8Storage')),
}


@ZIPPED
@pytest.mark.parametrize('case', OUTSIDE)
def test_no_tensor_reaches_outside_its_bytes(refusal, case, zipped):
    words = ('a tensor (', 'a storage ', 'QUInt8Storage', 'its storages are not', 'KeyError', 'it ends early')
    assert any(word in refusal(content(OUTSIDE[case]), zipped, ['0']) for word in words)


@ZIPPED
def test_a_tensor_whose_numbers_are_not_in_the_file_is_refused(refusal, zipped):
    refusal(content(tensor(storage('0'))), zipped, [])  # what was in the memory before would show


@ZIPPED
def test_a_pickle_that_would_fill_the_memory_is_refused(refusal, zipped):
    assert 'made to use up memory' in refusal(b'\x80\x02}r\xff\xff\xff\x7f.', zipped)
    assert 'made to use up memory' in refusal(b'}p2000000000\n.', zipped)
    refusal(b'\x80\x04\x8d' + struct.pack('<Q', 2 ** 60) + b'a.', zipped)


def test_a_file_that_refers_to_itself_many_times_takes_no_time(tmp_path):
    value = []
    for _ in range(200):
        value = [value, value]
    path = tmp_path / 'x.pth'
    torch.save({'meta': value}, path)
    assert len(read_checkpoint(str(path))['meta']) == 2


def test_a_file_that_is_nested_without_end_is_refused(refusal):
    refusal(b'\x80\x02}' + text('a') + b']' * 100_000 + b'a' * 99_999 + b's.')


def test_tuples_that_would_overflow_the_stack_are_refused(refusal):
    assert 'made to use up the stack' in refusal(b'\x80\x02}K\x01' + b'\x85' * 1_000_000 + b'K\x01s.')


@pytest.mark.parametrize('level', [b'(]g0\naitorch\nSize\np0\n', b'ctorch\nSize\n(]g0\natRp0\n', b'(ctorch\nSize\n]g0\naop0\n'],
                         ids=['INST', 'REDUCE', 'OBJ'])
def test_so_are_those_that_it_calls_for(refusal, level):
    """Every level calls for torch.Size([the level before]); the deepest is to be the key of a dict, which hashes it."""
    assert 'made to use up the stack' in refusal(b')p0\n' + level * 150_000 + b'}g0\nK\x01s.')


def test_what_a_file_names_does_not_write_on_the_screen(refusal):
    name = 'a\x1b[2J\nb'
    message = refusal(b'\x80\x04' + text('os') + text(name) + b'\x93.')
    assert 'holds os.a\\x1b[2J\\nb; ' in message and message.isprintable()
