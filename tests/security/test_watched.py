"""The process that reads hostile files notices what it is there to notice."""
from __future__ import annotations

import pytest

PROGRAMS = {
    'write': ("open('made', 'w')", 'open'), 'outside': ("open('../outside/secret.txt').read()", 'open'),
    'os_open': ("import os; os.open('other', os.O_CREAT | os.O_WRONLY)", 'open'),
    'system': ("import os; os.system('true')", 'os.system'), 'folder': ("import os; os.mkdir('folder')", 'os.mkdir'),
    'popen': ("import subprocess; subprocess.run(['true'])", 'subprocess.Popen'),
    'listing': ("import os; os.listdir('/etc')", 'os.listdir'), 'remove': ("import os; os.rmdir('folder')", 'os.rmdir'),
    'socket': ('import socket; socket.socket()', 'socket.__new__'), 'import': ('import antigravity_of_none', 'import'),
    'eval': ("eval('1')", 'compile'), 'environment': ("import os; os.environ['a'] = 'b'", 'os.putenv'),
    'unpickle': ("import pickle; pickle.loads(b'cos\\nsystem\\n.')", 'pickle.find_class'),
    'ctypes': ('import ctypes; ctypes.CDLL(None)', 'ctypes.dlopen'),
    'memory': ('x = bytearray(600 * 2**20)\nx[::4096] = bytes(len(x[::4096]))\ndel x', 'exec'), 'nothing': ('1', 'exec')}


@pytest.fixture(scope='module')
def said(outside, observe):
    folder = outside[0]
    for name, (text, _) in PROGRAMS.items():
        (folder / f'{name}.py').write_text(text)
    return dict(zip(PROGRAMS, observe(folder, [('program', folder / f'{name}.py') for name in PROGRAMS])))


@pytest.mark.parametrize('name', PROGRAMS)
def test_what_a_program_does_is_noticed(said, name):
    events = [event.partition(' ')[0] for event in said[name]['done']]
    assert PROGRAMS[name][1] in events and 'exec' in events
    assert (events == ['compile', 'exec']) is (name in ('memory', 'nothing'))


def test_memory_that_is_taken_and_given_back_is_noticed(said):
    assert said['memory']['grown'] >= 600 and said['nothing']['grown'] < 20


def test_so_is_what_appears_in_the_folder(outside, watch):
    (outside[0] / 'makes.py').write_text("open('made too', 'w')")
    with pytest.raises(AssertionError):
        watch(outside[0], [('program', outside[0] / 'makes.py')])
    assert (outside[0] / 'made too').exists()
