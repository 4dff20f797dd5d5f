"""Files of torch.save come back as torch.load gives them, in both of torch's formats and without asking torch."""
from __future__ import annotations

import collections
import ctypes
import io
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcv_need.serialization.pickle_shapes import Refused
from mmcv_need.serialization.plain_data import fits
from mmcv_need.serialization.torch_files import Damaged, load_torch_file

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
          torch.uint8, torch.bool, torch.complex64, torch.complex128]
FORMATS = pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'stream'])


def saved(value, zipped=True):
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    buffer.seek(0)
    return buffer


def loaded(value, zipped=True):
    return load_torch_file(saved(value, zipped))


def bits(tensor):
    together = tensor.detach().clone(memory_format=torch.contiguous_format)  # not every torch views numbers as bytes
    return ctypes.string_at(together.data_ptr(), together.numel() * together.element_size()) if together.numel() else b''


def same(a, b):
    """Equal to the bit, in values and in types."""
    if isinstance(a, torch.Tensor):
        return (type(b) is torch.Tensor and a.dtype == b.dtype and a.shape == b.shape and a.stride() == b.stride()
                and bits(a) == bits(b))
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@FORMATS
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_tensors_of_every_type_come_back_to_the_bit(dtype, zipped):
    numbers = torch.tensor([[0, 1, 0], [1, 1, 3]]).to(dtype)
    value = {'a': numbers, 'none': numbers[:0], 'one': numbers[0, 0], 'across': numbers.t(), 'part': numbers[:, 1:],
             'spread': numbers[:1].expand(4, 3)}
    assert same(torch.load(saved(value, zipped), weights_only=True), loaded(value, zipped))
    assert loaded(value, zipped)['a'].dtype == dtype


@settings(max_examples=60)
@given(st.lists(st.integers(0, 4), max_size=4), st.randoms(use_true_random=False), st.sampled_from(DTYPES), st.booleans())
def test_views_come_back_as_torch_gives_them(shape, rng, dtype, zipped):
    base = torch.arange(500).to(dtype)
    stride, offset = [rng.randint(0, 20) for _ in shape], rng.randint(0, 200)
    value = [base.as_strided(shape, stride, offset), base]
    found = loaded(value, zipped)
    assert same(torch.load(saved(value, zipped), weights_only=True), found)
    assert len(saved(found).getvalue()) == len(saved(value).getvalue())  # they share their numbers, and are known to
    if found[0].numel():
        assert found[0].data_ptr() - found[1].data_ptr() == value[0].data_ptr() - value[1].data_ptr()


@FORMATS
def test_plain_data_come_back(zipped):
    value = {'numbers': [1, -2 ** 70, 0.5, float('inf'), True, None], 'text': ('Straße', b'\x00\xff', ''), 3: {},
             'size': (2, 3), 'nested': [[[{'deep': ([],)}]]], 'dtype': torch.float16}
    assert same(loaded(value, zipped), value)


@FORMATS
def test_kinds_of_dict_and_list_become_dict_and_list(zipped):
    weights = collections.OrderedDict(a=torch.ones(2))
    weights._metadata = {'': {'version': 1}}
    value = {'weights': weights, 'count': collections.Counter('aab'), 'default': collections.defaultdict(list, {'a': [1]}),
             'deque': collections.deque([1, 2]), 'size': torch.Size([2, 3]), 'parameter': torch.nn.Parameter(torch.ones(2))}
    assert same(loaded(value, zipped), {'weights': {'a': torch.ones(2)}, 'count': {'a': 2, 'b': 1}, 'default': {'a': [1]},
                                        'deque': [1, 2], 'size': (2, 3), 'parameter': torch.ones(2)})


@FORMATS
def test_what_numpy_made_becomes_numbers_and_tensors(zipped):
    value = {'score': np.float64(0.25), 'count': np.int32(3), 'yes': np.bool_(True),
             'table': np.arange(6, dtype='>f4').reshape(2, 3), 'columns': np.asfortranarray(np.eye(2)),
             'long': np.array([1, 2 ** 63], np.uint64), 'none': np.zeros((0, 5))}
    found = loaded(value, zipped)
    tensors = {name: found.pop(name) for name in ('table', 'columns', 'none')}
    assert same(found, {'score': 0.25, 'count': 3, 'yes': True, 'long': [1, 2 ** 63]})
    assert all(same(tensors[name].numpy().tolist(), value[name].tolist()) for name in tensors)
    assert [tensor.dtype for tensor in tensors.values()] == [torch.float32, torch.float64, torch.float64]


@FORMATS
def test_what_is_shared_stays_shared(zipped):
    shared, loop = [1], []
    loop.append(loop)
    found = loaded([shared, shared, loop, torch.zeros(2)], zipped)
    assert found[0] is found[1] and found[2][0] is found[2]
    found[3][0] = 7  # and can be written to
    assert found[3].tolist() == [7, 0]


@pytest.mark.parametrize('dtype', ['uint16', 'uint32', 'float8_e4m3fn'])
def test_types_that_only_newer_versions_of_torch_have_come_back_where_they_are(dtype):
    if not hasattr(torch, dtype):
        pytest.skip('this version of torch has no such numbers')
    value = torch.tensor([1, 2, 3]).to(getattr(torch, dtype))
    assert same(loaded([value]), [value])


def test_the_end_of_a_file_is_missed_wherever_it_is_cut():
    for zipped in (True, False):
        whole = saved({'a': torch.arange(40.0)}, zipped).getvalue()
        for length in range(0, len(whole), 7):
            with pytest.raises(Exception):  # noqa: B017  the caller says what it means
                load_torch_file(io.BytesIO(whole[:length]))


def test_a_damaged_part_is_named():
    raw = bytearray(saved({'a': torch.arange(40.0)}).getvalue())
    raw[raw.index(torch.arange(40.0).numpy().tobytes()) + 9] ^= 1
    with pytest.raises(Damaged, match=r"its part 'archive/data/\d+' does not match its checksum"):
        load_torch_file(io.BytesIO(raw))


def rewritten(value, change, **how):
    """The file of a value, whose parts went through `change(name, bytes) -> bytes`."""
    into = io.BytesIO()
    with zipfile.ZipFile(saved(value)) as old, zipfile.ZipFile(into, 'w', **how) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return into


def test_a_big_endian_file_is_refused_and_not_misread():
    assert same(load_torch_file(rewritten([torch.ones(2)], lambda name, part: part)), [torch.ones(2)])
    big = rewritten([torch.ones(2)], lambda name, part: b'big' if name.endswith('byteorder') else part)
    with zipfile.ZipFile(big, 'a') as archive:
        if 'archive/byteorder' not in archive.namelist():  # an old torch does not write it
            archive.writestr('archive/byteorder', b'big')
    with pytest.raises(Refused, match='big-endian'):
        load_torch_file(big)


def test_files_from_before_they_said_their_byte_order_are_read():
    old = io.BytesIO()
    with zipfile.ZipFile(saved([torch.ones(2)])) as new, zipfile.ZipFile(old, 'w') as archive:
        for name in new.namelist():
            if name in ('archive/data.pkl', 'archive/version') or name.startswith('archive/data/'):
                archive.writestr(name.replace('archive', 'epoch_1', 1), new.read(name))
    assert same(load_torch_file(old), [torch.ones(2)])


def test_a_zip_that_unpacks_to_more_than_its_size_is_refused():
    bomb = rewritten([torch.zeros(10 ** 6)], lambda name, part: part, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb.getvalue()) < 50_000
    with pytest.raises(Refused, match='compressed parts'):
        load_torch_file(bomb)


@pytest.mark.parametrize('bad', [3, 5])
def test_a_storage_of_another_length_than_it_should_have_is_refused(bad):
    wrong = rewritten([torch.ones(4)], lambda name, part: bytes(4 * bad) if '/data/' in name else part)
    with pytest.raises(ValueError, match=f'a storage of 16 bytes that has {4 * bad}'):
        load_torch_file(wrong)


@pytest.mark.parametrize('offset, size, stride, inside', [
    (0, (2, 3), (3, 1), True), (0, (2, 4), (3, 1), False), (1, (2, 3), (3, 1), False), (0, (), (), True), (5, (), (), True),
    (6, (), (), False), (6, (0,), (1,), True), (0, (10 ** 9,), (0,), True), (5, (2, 2), (0, 0), True), (-1, (1,), (1,), False),
    (0, (-1,), (1,), False), (3, (2,), (-1,), False), (0, (2,), (1, 1), False), (0, [2], (1,), False), (0, (2,), None, False),
    (0.0, (2,), (1,), False), (True, (2,), (1,), False), (0, (2 ** 63,), (2 ** 63,), False)])
def test_a_tensor_lies_within_its_storage(offset, size, stride, inside):
    assert fits(offset, size, stride, 6) is inside


def test_a_file_holds_about_as_many_numbers_as_its_tensors_have():
    """Whoever looks at every number of a tensor could look for ever: each may be the same one."""
    views = torch.zeros(1000)
    found = loaded({'views': [views] * 3, 'parts': [views[i:] for i in range(50)], 'spread': torch.ones(1).expand(1000, 1000)})
    assert found['spread'].sum() == 1e6 and len(found['parts']) == 50
    for value in (torch.zeros(1).expand(2 ** 40), [torch.zeros(1).expand(2 ** 20) for _ in range(100)],
                  [torch.zeros(2 ** 20).view(2 ** 20)[i:] for i in range(3)] + [torch.zeros(3).as_strided((2 ** 27,), (0,))]):
        with pytest.raises(Refused, match=r'tensors of [\d,]+ numbers that are made of [\d,]+'):
            loaded(value)
