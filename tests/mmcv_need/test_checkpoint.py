"""Checkpoints: whole or not at all, never code, and what is wrong with one in a line."""
from __future__ import annotations

import errno
import io
import os
import random
import struct
import tempfile
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need import checkpoint
from mmcv_need.checkpoint import NAME, find_latest, read, read_checkpoint, save_checkpoint
from mmcv_need.errors import CheckpointError
from mmcv_need.random_state import random_state
from mmcv_need.serialization.atomic_files import write_atomically
from mmcv_need.serialization.torch_files import load_torch_file


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


def test_a_checkpoint_that_is_not_the_latest_moves_no_pointer(tmp_path):
    save_checkpoint(content(1), str(tmp_path / 'epoch_1.pth'))
    save_checkpoint(content(2), str(tmp_path / 'best_mAP_epoch_2.pth'), latest=False)
    assert os.readlink(tmp_path / 'latest.pth') == (tmp_path / 'last_checkpoint').read_text() == 'epoch_1.pth'


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


def test_what_was_written_comes_back_as_plain_data_from_torch_too(saved):
    for found in (torch.load(saved, weights_only=True), read_checkpoint(str(saved))):
        assert found['meta'] == {'epoch': 0, 'iter': 1} and torch.equal(found['state_dict']['weight'], torch.ones(64, 8))


def test_what_was_read_may_be_kept_with_its_path(saved):
    path, found = read(str(saved))
    assert path == str(saved) and found['meta'] == content()['meta']


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


@pytest.mark.parametrize('zipped', [True, False])
def test_a_file_is_read_once_to_be_checked_and_loaded(tmp_path, zipped):
    """So the check costs no more than the checksums: what a file of 10 MB says of itself needs next to nothing of it."""
    path, reads = tmp_path / 'x.pth', {}
    torch.save({'meta': {'iter': 1}, 'weight': torch.arange(2.5e6)}, path, _use_new_zipfile_serialization=zipped)
    size = path.stat().st_size
    for tensors in (True, False):
        with CountedReads(path) as file:
            load_torch_file(file, tensors)
            reads[tensors] = file.count
    assert size * 0.99 < reads[True] < size * 1.01
    assert not zipped or reads[False] < size / 100


class CountedReads(io.FileIO):
    """A file that counts the bytes that are read."""
    count = 0

    def read(self, size=-1):
        found = super().read(size)
        self.count += len(found)
        return found

    def readinto(self, buffer):
        done = super().readinto(buffer)
        self.count += done
        return done


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


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert refusal(tmp_path / 'nothing.pth').endswith('no such checkpoint file')
    assert refusal(tmp_path).endswith('no such checkpoint file')


def test_a_zip_of_something_else_is_refused(tmp_path):
    path = tmp_path / 'pictures.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a.jpg', b'x')
    refusal(path)


# Finding the newest


def put(folder, name, epoch=0, inner=0, epoch_len=10, iteration=None, **more):
    """A file that says it was written after so many epochs of a length, and iterations of the next."""
    meta = {'epoch': epoch, 'iter': epoch * epoch_len + inner if iteration is None else iteration, 'inner_iter': inner,
            'epoch_len': epoch_len}
    save_checkpoint({'meta': meta, 'optimizer': {'state': {}}, 'state_dict': {'w': torch.ones(3)}, **more}, str(folder / name))


def newest(folder):
    return os.path.basename(find_latest(str(folder)).path)


def test_the_newest_is_that_of_the_latest_place_in_the_run(tmp_path):
    for name, place in (('epoch_2', (2, 0)), ('iter_15', (1, 5)), ('iter_9', (0, 9)), ('epoch_1', (1, 0))):
        put(tmp_path, f'{name}.pth', *place)
    assert newest(tmp_path) == 'epoch_2.pth'
    put(tmp_path, 'iter_21.pth', 2, 1)
    assert newest(tmp_path) == 'iter_21.pth'


def test_places_are_compared_and_not_names_since_iterations_may_have_been_counted_anew(tmp_path):
    put(tmp_path, 'epoch_2.pth', 2, 0, epoch_len=7)
    put(tmp_path, 'iter_9.pth', 2, 1, epoch_len=4)  # batches are twice as large now
    assert newest(tmp_path) == 'iter_9.pth'


def test_numbers_are_compared_as_numbers(tmp_path):
    for epoch in (9, 10):
        put(tmp_path, f'epoch_{epoch}.pth', epoch)
    assert newest(tmp_path) == 'epoch_10.pth'


def test_an_epochs_end_is_newer_than_its_last_iteration(tmp_path):
    put(tmp_path, 'iter_10.pth', 0, 10)
    put(tmp_path, 'epoch_1.pth', 1, 0)
    assert newest(tmp_path) == 'epoch_1.pth'


def test_the_newest_comes_with_its_content_and_of_others_the_weights_are_not_read(tmp_path, monkeypatch):
    for name, place in (('epoch_2', (2, 0)), ('epoch_1', (1, 0)), ('iter_19', (1, 9)), ('iter_20', (1, 10))):
        put(tmp_path, f'{name}.pth', *place)
    opened = []
    monkeypatch.setattr(checkpoint, 'load_torch_file',
                        lambda file, tensors: (opened.append((os.path.basename(file.name), tensors)),
                                               load_torch_file(file, tensors))[1])
    latest = find_latest(str(tmp_path))
    assert latest.content['state_dict']['w'].tolist() == [1, 1, 1]
    assert opened[-1] == ('epoch_2.pth', True) and [tensors for _, tensors in opened[:-1]] == [False] * 4


def test_files_that_cannot_be_gone_on_from_are_passed_over_and_said_to_be(tmp_path):
    for iteration in (1, 2, 3, 4, 5, 6):
        put(tmp_path, f'iter_{iteration}.pth', 0, iteration)
    (tmp_path / 'iter_5.pth').write_bytes((tmp_path / 'iter_5.pth').read_bytes()[:-30])
    (tmp_path / 'iter_4.pth').write_text('oh')
    torch.save({'state_dict': {}, 'meta': [1]}, tmp_path / 'iter_3.pth')  # says nothing of where it was written
    save_checkpoint({'meta': {'epoch': 0, 'iter': 6, 'inner_iter': 6}, 'state_dict': {}}, str(tmp_path / 'iter_6.pth'))
    (tmp_path / 'iter_6.pth.tmp.77').write_bytes(b'')
    (tmp_path / 'best_iter_9.pth').write_bytes(b'')
    with pytest.warns(UserWarning, match='passed over') as said:
        assert newest(tmp_path) == 'iter_2.pth'
    assert [f'iter_{n}.pth' in str(warning.message) for n, warning in zip((3, 4, 5, 6), said)] == [True] * 4
    assert 'iter_6.pth: holds no training state to resume from' in str(said[-1].message)


@pytest.fixture(scope='module')
def two_epochs():
    """The files of two checkpoints that have all a run may have: the older one, and the newer one as bytes; read, likewise."""
    rng, files = torch.Generator().manual_seed(3), []
    for epoch in (1, 2):
        weights = {name: torch.randn(9, 7, generator=rng) for name in ('conv.weight', 'conv.bias')}
        state = {i: {'momentum_buffer': torch.randn(9, 7, generator=rng)} for i in range(2)}
        groups = [{'lr': 0.1 / epoch, 'momentum': 0.9, 'params': [0, 1]}]
        buffer = io.BytesIO()
        torch.save({'meta': {'epoch': epoch, 'iter': 10 * epoch, 'inner_iter': 0, 'epoch_len': 10, 'seed': 3},
                    'state_dict': weights, 'optimizer': {'state': state, 'param_groups': groups},
                    'loss_scaler': {'scale': 512.0 * epoch, '_growth_tracker': 3},
                    'ranks': [{'random': random_state(torch.device('cpu')), 'log_buffer': {'loss': [[1.5, 4]]}}]}, buffer)
        files.append(buffer.getvalue())
    return files, [load_torch_file(io.BytesIO(raw)) for raw in files]


def damages(raw):
    """2,000 flipped bits, 300 cut ends, a file of nothing, and files of something else: (what was done, bytes)."""
    rng = random.Random(5)
    for place in rng.sample(range(8 * len(raw)), 2000):
        data = bytearray(raw)
        data[place // 8] ^= 1 << place % 8
        yield f'bit {place}', bytes(data)
    for length in sorted(rng.sample(range(1, len(raw)), 300)):
        yield f'cut at {length}', raw[:length]
    yield 'nothing', b''
    yield 'zeros', bytes(len(raw))
    yield 'a picture', b'\xff\xd8\xff\xe0' + raw[4:]
    other = io.BytesIO()
    torch.save({'state_dict': {'conv.weight': torch.zeros(9, 7)}}, other)
    yield 'weights alone', other.getvalue()


@pytest.mark.parametrize('share', [0.1, pytest.param(1.0, marks=pytest.mark.slow)])
def test_no_damage_is_loaded_unnoticed_and_the_checkpoint_before_is_used(two_epochs, quick_folder, share):
    """Weights, optimizer, random numbers and all else are those that were written, or one line names the file."""
    (older, newer), contents = two_epochs
    (quick_folder / 'epoch_1.pth').write_bytes(older)
    path, counts = quick_folder / 'epoch_2.pth', {'used whole': 0, 'passed over': 0}
    every = list(damages(newer))
    for what, raw in every if share == 1 else [*every[::int(1 / share)], *every[-4:]]:
        path.write_bytes(raw)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter('always')
            found = find_latest(str(quick_folder))
        lines = [str(warning.message) for warning in said]
        if lines:
            assert len(lines) == 1 and '\n' not in lines[0] and lines[0].startswith(f'passed over: {path}: '), (what, lines)
            counts['passed over'] += 1
        else:  # what nothing reads was hit: padding, dates
            assert what.startswith('bit'), what
            counts['used whole'] += 1
        assert os.path.basename(found.path) == f'epoch_{1 if lines else 2}.pth'
        assert same(found.content, contents[0 if lines else 1]), what
    print(counts)
    assert counts['passed over'] > counts['used whole'] > 0


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and (len(a) == len(b) and all(map(same, a, b)) if isinstance(a, (list, tuple)) else a == b)


def test_a_flipped_bit_in_the_weights_is_found_before_they_are_used(tmp_path):
    put(tmp_path, 'epoch_1.pth', 1)
    put(tmp_path, 'epoch_2.pth', 2)
    raw = bytearray((tmp_path / 'epoch_2.pth').read_bytes())
    raw[raw.index(torch.ones(3).numpy().tobytes())] ^= 1
    (tmp_path / 'epoch_2.pth').write_bytes(bytes(raw))
    with pytest.warns(UserWarning, match=r'passed over: .*epoch_2\.pth: damaged'):
        assert newest(tmp_path) == 'epoch_1.pth'


def test_there_is_no_newest_in_an_empty_or_missing_folder(tmp_path):
    assert find_latest(str(tmp_path)) is None
    assert find_latest(str(tmp_path / 'missing')) is None


def test_names_of_checkpoints_are_mmcvs():
    assert NAME.fullmatch('epoch_12.pth') and NAME.fullmatch('iter_5.pth')
    assert not NAME.fullmatch('latest.pth') and not NAME.fullmatch('epoch_1.pth.tmp.3')
