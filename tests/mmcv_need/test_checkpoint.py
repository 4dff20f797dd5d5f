"""Checkpoints: whole or not at all, never code, and what is wrong with one in a line."""
from __future__ import annotations

import errno
import os
import pickle
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need import checkpoint as checkpoints
from mmcv_need.checkpoint import find_latest, load_weights, read_checkpoint, save_checkpoint, state_dict_of, write_atomically
from mmcv_need.errors import CheckpointError

DATA = Path(__file__).parent / 'data'


def content(iteration=1, value=1.0):
    return {'meta': {'epoch': 0, 'iter': iteration}, 'state_dict': {'weight': torch.full((64, 8), value)}}


def refusal(path):
    """The message with which a file is refused, which is one line and names the file."""
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(str(path))
    message = str(error.value)
    assert '\n' not in message and message.startswith(str(path)) and len(message) < len(str(path)) + 400
    return message


# Writing


def test_a_file_is_written_synced_renamed_and_its_folder_synced_in_this_order(tmp_path, monkeypatch):
    order = []
    replace, fsync = os.replace, os.fsync

    def record_fsync(descriptor):
        target = os.readlink(f'/proc/self/fd/{descriptor}')
        order.append('fsync folder' if os.path.isdir(target) else f'fsync {os.path.getsize(target)} bytes')
        fsync(descriptor)

    def record_replace(old, new):
        order.append(f'rename to {os.path.basename(new)}')
        replace(old, new)
    monkeypatch.setattr(os, 'fsync', record_fsync)
    monkeypatch.setattr(os, 'replace', record_replace)
    write_atomically(str(tmp_path / 'x.pth'), b'12345')
    assert order == ['fsync 5 bytes', 'rename to x.pth', 'fsync folder']


def test_the_pointers_move_after_the_file_itself(tmp_path, monkeypatch):
    renamed, replace = [], os.replace
    monkeypatch.setattr(os, 'replace', lambda old, new: (renamed.append(os.path.basename(new)), replace(old, new)))
    save_checkpoint(content(), str(tmp_path / 'iter_1.pth'))
    assert renamed == ['iter_1.pth', 'latest.pth', 'last_checkpoint']


@pytest.mark.parametrize('broken', ['replace', 'fsync'])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken):
    path = tmp_path / 'iter_1.pth'
    save_checkpoint(content(value=1.0), str(path))
    before = sorted(os.listdir(tmp_path))

    def fail(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(CheckpointError, match=rf'^{path}: cannot be written \(No space left on device\); \d+ MB are free'):
        save_checkpoint(content(value=2.0), str(path))
    assert sorted(os.listdir(tmp_path)) == before
    assert read_checkpoint(str(path))['state_dict']['weight'][0, 0] == 1


def test_a_folder_is_made_where_it_is_missing(tmp_path):
    save_checkpoint(content(), str(tmp_path / 'a' / 'b' / 'iter_1.pth'))
    assert read_checkpoint(str(tmp_path / 'a' / 'b' / 'latest.pth'))['meta']['iter'] == 1


def test_a_file_system_without_links_gets_a_copy(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, 'Operation not permitted')
    monkeypatch.setattr(os, 'symlink', refuse)
    for iteration in (1, 2):
        save_checkpoint(content(iteration), str(tmp_path / f'iter_{iteration}.pth'))
    assert not (tmp_path / 'latest.pth').is_symlink()
    assert read_checkpoint(str(tmp_path / 'latest.pth'))['meta']['iter'] == 2
    assert sorted(os.listdir(tmp_path)) == ['iter_1.pth', 'iter_2.pth', 'last_checkpoint', 'latest.pth']


def test_a_link_left_by_a_process_that_died_is_no_obstacle(tmp_path):
    os.symlink('nowhere', tmp_path / f'latest.pth.tmp.{os.getpid()}')
    save_checkpoint(content(), str(tmp_path / 'iter_1.pth'))
    assert os.readlink(tmp_path / 'latest.pth') == 'iter_1.pth'


def test_a_file_may_be_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_checkpoint(content(), 'iter_1.pth')
    assert read_checkpoint('latest.pth')['meta']['iter'] == 1


# Reading


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / 'iter_1.pth'
    save_checkpoint(content(), str(path))
    return path


def test_what_was_written_comes_back_as_plain_data(saved):
    read = torch.load(saved, weights_only=True)
    assert read['meta'] == {'epoch': 0, 'iter': 1} and torch.equal(read['state_dict']['weight'], torch.ones(64, 8))
    assert read_checkpoint(str(saved))['meta'] == read['meta']


@pytest.mark.parametrize('share', [0.02, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[:int(len(whole) * share)])
    refusal(saved)


def test_a_flipped_bit_in_the_weights_is_noticed(saved):
    with zipfile.ZipFile(saved) as archive:
        part = max(archive.infolist(), key=lambda info: info.file_size)
    data = bytearray(saved.read_bytes())
    name_length, extra_length = struct.unpack('<HH', data[part.header_offset + 26:part.header_offset + 30])
    start = part.header_offset + 30 + name_length + extra_length  # of the part's own bytes
    data[start + part.file_size // 2] ^= 0x10
    saved.write_bytes(data)
    assert f"damaged: its part '{part.filename}' does not match its checksum" in refusal(saved)


@pytest.mark.parametrize('bytes_', [b'', b'hello\n' * 50, b'\x80\x02}q\x00.', b'\x80\x02t.', b'PK\x03\x04 and so on'],
                         ids=['empty', 'text', 'a pickle', 'a tuple of nothing', 'half a zip'])
def test_what_is_no_checkpoint_is_refused(tmp_path, bytes_):
    path = tmp_path / 'x.pth'
    path.write_bytes(bytes_)
    refusal(path)


@given(st.binary(max_size=200), st.sampled_from([b'', b'\x80\x02', b'\x80\x02}q\x00(']))
def test_noise_is_refused_whatever_torch_makes_of_it(noise, start):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'x.pth'
        path.write_bytes(start + noise)
        refusal(path)


@pytest.mark.parametrize('value, words', [(torch.ones(3), 'holds a Tensor'), ([1, 2], 'holds a list'), (5, 'holds a int')])
def test_a_file_of_another_type_is_refused(tmp_path, value, words):
    path = tmp_path / 'x.pth'
    torch.save(value, path)
    assert words in refusal(path)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ('executed',)


@pytest.mark.parametrize('write', [lambda value, path: torch.save(value, path),
                                   lambda value, path: path.write_bytes(pickle.dumps(value, 2))], ids=['zip', 'pickle'])
def test_code_in_a_file_is_never_run(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'x.pth'
    write({'state_dict': Malicious()}, path)
    refusal(path)
    assert not (tmp_path / 'executed').exists()


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert refusal(tmp_path / 'nothing.pth').endswith('no such checkpoint file')
    assert refusal(tmp_path).endswith('no such checkpoint file')


def test_a_zip_of_something_else_is_refused(tmp_path):
    path = tmp_path / 'pictures.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a.jpg', b'x')
    refusal(path)


# Old and foreign files


def test_a_training_file_of_mmcv_loads():
    read = read_checkpoint(str(DATA / 'mmcv_1.7.2.pth'))
    model = torch.nn.Sequential()
    model.add_module('conv', torch.nn.Conv2d(3, 4, 3))
    model.add_module('bn', torch.nn.BatchNorm2d(4))
    assert not any(load_weights(model, state_dict_of(read), 'mmcv', strict=True))
    assert (read['meta']['epoch'], read['meta']['iter'] > 0) == (2, True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    optimizer.load_state_dict(read['optimizer'])
    assert optimizer.param_groups[0]['initial_lr'] == read['optimizer']['param_groups'][0]['initial_lr']


def test_the_prefix_of_wrappers_is_taken_off():
    weight = torch.ones(2)
    assert list(state_dict_of({'state_dict': {'module.a.weight': weight, 'module.b.module.weight': weight}})) == \
        ['a.weight', 'b.module.weight']


def test_a_bare_state_dict_is_a_checkpoint_too():
    assert list(state_dict_of({'a.weight': torch.ones(2), 'version': 3})) == ['a.weight']


# Loading weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 1)
        self.norm = torch.nn.BatchNorm2d(2)


def net_state(**changes):
    state = {key: torch.full_like(value, 5) for key, value in Net().state_dict().items()}
    for key, value in changes.items():
        key = key.replace('__', '.')
        if value is None:
            del state[key]
        else:
            state[key] = value
    return state


TABLE = [
    (dict(), [], [], []),
    (dict(conv__bias=None), ['conv.bias'], [], []),
    (dict(norm__num_batches_tracked=None), [], [], []),
    (dict(extra=torch.ones(1)), [], ['extra'], []),
    (dict(conv__bias=torch.ones(3)), [], [], ['conv.bias (3,) in the file, (2,) in the model']),
    (dict(conv__bias=None, extra=torch.ones(1), norm__weight=torch.ones(9)), ['conv.bias'], ['extra'],
     ['norm.weight (9,) in the file, (2,) in the model']),
]


@pytest.mark.parametrize('changes, missing, unexpected, misshaped', TABLE)
def test_weights_that_fit_are_loaded_and_the_others_reported(changes, missing, unexpected, misshaped):
    net = Net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    mismatch = load_weights(net, net_state(**changes), 'x.pth')
    assert mismatch == (missing, unexpected, misshaped)
    for key, value in net.state_dict().items():
        if key.endswith('num_batches_tracked'):
            continue
        untouched = key in missing or any(row.startswith(key) for row in misshaped)
        assert torch.equal(value, before[key] if untouched else torch.full_like(value, 5))


@pytest.mark.parametrize('changes, missing, unexpected, misshaped', TABLE)
def test_strict_takes_all_or_nothing(changes, missing, unexpected, misshaped):
    net = Net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    if not (missing or unexpected or misshaped):
        load_weights(net, net_state(**changes), 'x.pth', strict=True)
        return
    with pytest.raises(CheckpointError) as error:
        load_weights(net, net_state(**changes), 'x.pth', strict=True)
    for words in (['x.pth: made for another model'], ['not in the checkpoint: conv.bias'] * bool(missing),
                  ['not in the model: extra'] * bool(unexpected), ['of another shape'] * bool(misshaped)):
        assert all(word in str(error.value) for word in words)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_where_nothing_fits_that_is_an_error_even_if_not_strict():
    with pytest.raises(CheckpointError, match=r'^x.pth: none of its 1 tensors fits this model; not in the checkpoint: conv'):
        load_weights(Net(), {'fc.weight': torch.ones(1)}, 'x.pth')


def test_a_long_list_of_keys_is_cut_short():
    state = {f'layer{i}.weight': torch.ones(1) for i in range(50)}
    text = str(load_weights(Net(), {**net_state(), **state}, 'x.pth'))
    assert text.count('layer') == 8 and '(50 in all)' in text


# Finding the newest


def test_the_newest_is_that_of_the_most_iterations(tmp_path):
    for name, iteration in (('epoch_2', 20), ('iter_15', 15), ('iter_9', 9), ('epoch_1', 10)):
        save_checkpoint(content(iteration), str(tmp_path / f'{name}.pth'))
    assert find_latest(str(tmp_path)) == str(tmp_path / 'epoch_2.pth')
    save_checkpoint(content(21), str(tmp_path / 'iter_21.pth'))
    assert find_latest(str(tmp_path)) == str(tmp_path / 'iter_21.pth')


def test_numbers_are_compared_as_numbers(tmp_path):
    for epoch in (9, 10):
        save_checkpoint(content(epoch * 7), str(tmp_path / f'epoch_{epoch}.pth'))
    assert find_latest(str(tmp_path)) == str(tmp_path / 'epoch_10.pth')


def test_an_epochs_end_is_newer_than_its_last_iteration(tmp_path):
    for name in ('iter_7', 'epoch_1'):
        save_checkpoint(content(7), str(tmp_path / f'{name}.pth'))
    assert find_latest(str(tmp_path)) == str(tmp_path / 'epoch_1.pth')


def test_damaged_and_foreign_files_are_passed_over_and_said_to_be(tmp_path):
    for iteration in (1, 2, 3, 4, 5):
        save_checkpoint(content(iteration), str(tmp_path / f'iter_{iteration}.pth'))
    (tmp_path / 'iter_5.pth').write_bytes((tmp_path / 'iter_5.pth').read_bytes()[:-30])
    (tmp_path / 'iter_4.pth').write_text('oh')
    torch.save({'state_dict': {}}, tmp_path / 'iter_3.pth')  # says nothing of where it was written
    (tmp_path / 'iter_6.pth.tmp.77').write_bytes(b'')
    (tmp_path / 'best_iter_9.pth').write_bytes(b'')
    with pytest.warns(UserWarning, match='passed over') as said:
        assert find_latest(str(tmp_path)) == str(tmp_path / 'iter_2.pth')
    assert [f'iter_{n}.pth' in str(warning.message) for n, warning in zip((5, 4, 3), said)] == [True] * 3


def test_there_is_no_newest_in_an_empty_or_missing_folder(tmp_path):
    assert find_latest(str(tmp_path)) is None
    assert find_latest(str(tmp_path / 'missing')) is None


def test_names_of_checkpoints_are_mmcvs():
    assert checkpoints.NAME.fullmatch('epoch_12.pth') and checkpoints.NAME.fullmatch('iter_5.pth')
    assert not checkpoints.NAME.fullmatch('latest.pth') and not checkpoints.NAME.fullmatch('epoch_1.pth.tmp.3')
