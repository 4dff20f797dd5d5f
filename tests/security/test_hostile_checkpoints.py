"""Hostile checkpoints and files of results: none runs anything, reads anything else, or takes more than bounded memory."""
from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
import zlib

import pytest
import torch

HUGE = 2**40


class Runs:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def zipped(pickled, parts=(('data/0', bytes(16)),), **how):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', **how) as archive:
        archive.writestr('archive/data.pkl', pickled)
        for name, part in parts:
            archive.writestr(f'archive/{name}', part)
    return file.getvalue()


def saved(value, new=True):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=new)
    return file.getvalue()


def text(word):
    return b'X' + struct.pack('<I', len(word)) + word.encode()


def number(value):
    return b'\x8a\x08' + struct.pack('<q', value)


def tensor(count=4, size=4, stride=1, key='0', offset=0):
    """A tensor of float32 by its opcodes."""
    storage = b'(' + text('storage') + b'ctorch\nFloatStorage\n' + text(key) + text('cpu') + number(count) + b'tQ'
    return (b'ctorch._utils\n_rebuild_tensor_v2\n(' + storage + number(offset) + number(size) + b'\x85' + number(stride)
            + b'\x85\x89ccollections\nOrderedDict\n)RtR')


def content(value):
    return b'\x80\x02}' + text('state_dict') + b'}' + text('weight') + value + b'ss.'


def stream(pickled):
    """A file of before torch 1.6 around a pickle."""
    head = [pickle.dumps(value, 2) for value in (0x1950a86a20f9469cfc6c, 1001, {'little_endian': True})]
    return b''.join(head) + pickled + pickle.dumps(['0'], 2) + struct.pack('<q', 4) + bytes(16)


def overlapping():
    """A zip of a thousand names for the same megabyte."""
    one = zipped(b'.', [('data/0', bytes(2**20))])
    end = one.rindex(b'PK\x05\x06')
    first = one.index(b'PK\x01\x02')
    entry = one[one.index(b'PK\x01\x02', first + 4):end]
    directory = one[first:end] + entry * 999
    fields = list(struct.unpack('<IHHHHIIH', one[end:end + 22]))
    fields[3] = fields[4] = 1001
    fields[5] = len(directory)
    return one[:first] + directory + struct.pack('<IHHHHIIH', *fields)


def lying():
    """A zip whose part is said to have four gigabytes, in both of its headers."""
    raw = bytearray(zipped(content(tensor())))
    for mark, place in ((b'PK\x03\x04', 18), (b'PK\x01\x02', 20)):
        raw[raw.rindex(mark) + place:raw.rindex(mark) + place + 8] = b'\xf0\xff\xff\xff' * 2
    return bytes(raw)


WEIGHTS = {'weight': torch.zeros(2, 2), 'bias': torch.zeros(2)}
HOSTILE = {
    'system.pth': saved({'state_dict': Runs(os.system, 'touch made')}),
    'system_old.pth': saved({'state_dict': Runs(os.system, 'touch made')}, new=False),
    'mkdir.pth': saved({'meta': {'epoch': Runs(os.mkdir, 'made')}, 'state_dict': WEIGHTS}),
    'eval.pth': zipped(b'\x80\x04' + text('builtins') + text('eval') + b'\x93' + text('open("made", "w")') + b'\x85R.'),
    'open.pth': zipped(b'\x80\x02c__builtin__\nopen\n' + text('made') + text('w') + b'\x86R.'),
    'import.pth': zipped(b'\x80\x02cantigravity\nfly\n.'),
    'getattr.pth': zipped(content(b'c__builtin__\ngetattr\n(cos\nsystem\n')),
    'load.pth': zipped(b'\x80\x02ctorch\nload\n' + text('../outside/secret') + b'\x85R.'),
    'storage_from_file.pth': zipped(b'\x80\x02ctorch\nFloatStorage\n.' + b'cfrom_file\n'),
    'hub.pth': zipped(b'\x80\x02ctorch.hub\nload\n.'),
    'part_outside.pth': zipped(content(tensor(key='../../../outside/secret'))),
    'zip_bomb.pth': zipped(content(tensor()), [('data/0', bytes(10**8))], compression=zipfile.ZIP_DEFLATED),
    'zip_bomb_pickle.pth': zipped(b'\x80\x02' + b'N0' * 10**8 + b'.', compression=zipfile.ZIP_DEFLATED),
    'overlapping.pth': overlapping(), 'lying.pth': lying(),
    'storage.pth': zipped(content(tensor(count=HUGE))), 'storage_old.pth': stream(content(tensor(count=HUGE))),
    'size.pth': zipped(content(tensor(size=HUGE))), 'stride.pth': zipped(content(tensor(stride=HUGE))),
    'spread.pth': saved({'state_dict': {str(i): torch.zeros(1).expand(2**20) for i in range(200)}}),
    'offset.pth': zipped(content(tensor(offset=-1))), 'stride_zero.pth': zipped(content(tensor(size=HUGE, stride=0))),
    'memo.pth': zipped(b'\x80\x02}r\xff\xff\xff\x7f.'), 'tuples.pth': zipped(b'\x80\x02})' + b'\x85' * 1_000_000 + b'Ns.'),
    'tuples_value.pth': zipped(content(b')' + b'\x85' * 1_000_000)),
    'lists.pth': zipped(content(b']' * 10**6 + b'a' * (10**6 - 1))),
    'bytes.pth': zipped(b'\x80\x04\x8e' + struct.pack('<Q', HUGE) + b'a.'), 'array.pth': zipped(
        b'\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85' + text('b') + b'\x87R(K\x01' + number(HUGE)
        + b'\x85cnumpy\ndtype\n' + text('f4') + b'\x85RK\x00' + text('x') + b'tb.'),
    'integer.pth': zipped(b'\x80\x02}' + text('meta') + b'}(' + text('epoch') + b'\x8b' + struct.pack('<i', 100_000)
                          + b'\x7f' * 100_000 + text('iter') + b'K\x01us.'),
    'deep_place.pth': zipped(b'\x80\x02}' + text('meta') + b'}(' + text('epoch') + b']' * 800 + b'a' * 799 + text('iter')
                             + b'K\x01us.'),
    'names.pth': saved({'state_dict': {'a\x1b[2J' + 'b' * 10**6 + str(i): torch.zeros(1) for i in range(3)}}),
    'results_system.pkl': pickle.dumps([Runs(os.system, 'touch made')]),
    'results_tuples.pkl': b'\x80\x02})' + b'\x85' * 10**6 + b'Ns.',
    'results_memo.pkl': b'\x80\x02]r\xff\xff\xff\x7f.', 'results_bytes.pkl': b'\x80\x04\x96' + struct.pack('<Q', HUGE) + b'a.',
    'results_gzip.pkl': b'\x1f\x8b' + zlib.compress(bytes(10**7)), 'random.pth': os.urandom(5000), 'empty.pth': b'',
}


@pytest.fixture(scope='module')
def said(outside, watch):
    folder, _ = outside
    for name, raw in HOSTILE.items():
        (folder / name).write_bytes(raw)
    jobs = [('results' if name.endswith('.pkl') else 'checkpoint', folder / name) for name in HOSTILE]
    return dict(zip(HOSTILE, watch(folder, jobs)))


def test_there_are_enough_of_them():
    assert len(HOSTILE) >= 12


@pytest.mark.parametrize('name', HOSTILE)
def test_a_hostile_checkpoint_is_refused_in_one_line_that_names_it(said, name):
    assert said[name]['ended'] == 'refused' and name in said[name]['message'], said[name]


def test_a_checkpoint_of_the_same_making_is_read(outside, watch):
    (outside[0] / 'good.pth').write_bytes(zipped(content(tensor(size=2)).replace(text('weight'), text('bias'))))
    (outside[0] / 'saved.pth').write_bytes(saved({'state_dict': WEIGHTS}))
    (outside[0] / 'old.pth').write_bytes(stream(content(tensor(size=2)).replace(text('weight'), text('bias'))))
    said = watch(outside[0], [('checkpoint', outside[0] / name) for name in ('good.pth', 'saved.pth', 'old.pth')])
    assert [each['ended'] for each in said] == ['read'] * 3, said
