"""Builds the device once for each torch and each state of its source, in a folder outside the repository."""
from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List, Optional

import torch
from torch.utils import cpp_extension

SOURCE = Path(__file__).parent / 'csrc'
TORCH_VERSION = tuple(int(part) for part in torch.__version__.split('.')[:2])


def compiler() -> Optional[str]:
    """The C++ compiler of this machine, CXX before others, or None."""
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get('CXX'), 'c++', 'g++', 'clang++')))), None)


def hindrance() -> Optional[str]:
    """Why the device cannot be built here, or None."""
    if not sys.platform.startswith('linux'):
        return f'the stand-in for an NPU is for Linux, not for {sys.platform}'
    if TORCH_VERSION < (2, 6):
        return f'the stand-in for an NPU needs the headers of torch 2.6 or newer, not of {torch.__version__}'
    return None if compiler() else 'no C++ compiler found: install g++ or clang++, or name one by CXX'


def flags() -> List[str]:
    """For compiling and linking. PyTorch's headers ask for C++20 from 2.13 on."""
    return [f'-std=c++{20 if TORCH_VERSION >= (2, 13) else 17}', '-O1', '-w', '-fPIC',
            f'-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}']


def cache() -> Path:
    """NPU_STANDIN_CACHE, or a folder of this user's below the system's folder for temporary files.

    Raises:
        RuntimeError: the folder is another user's, whose code would be run.
    """
    folder = Path(os.environ.get('NPU_STANDIN_CACHE') or Path(tempfile.gettempdir()) / f'npu_standin_{os.getuid()}')
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise RuntimeError(f'{folder} belongs to another user; name another folder by NPU_STANDIN_CACHE')
    return folder


def library() -> Path:
    """The device as a shared library, built if it is not there; processes that ask at once build it once.

    Raises:
        RuntimeError: there is no compiler, or it fails, with what it says.
    """
    sources = sorted(SOURCE.iterdir())
    state = hashlib.sha256(repr((torch.__version__, torch.version.git_version, flags())).encode())
    for path in sources:
        state.update(path.name.encode() + path.read_bytes())
    folder = cache()
    target = folder / f'{state.hexdigest()[:20]}.so'
    with open(folder / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            build([path for path in sources if path.suffix == '.cpp'], target)
    return target


def build(sources: List[Path], target: Path) -> None:
    """Compile each source, as many at once as there are cores, and link them."""
    reason, program = hindrance(), compiler()
    if reason or not program:
        raise RuntimeError(reason)
    includes = [word for folder in cpp_extension.include_paths() for word in ('-isystem', folder)]
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        objects = [Path(folder) / f'{source.stem}.o' for source in sources]

        def compile_one(source: Path, made: Path) -> None:
            call([program, *flags(), *includes, '-c', str(source), '-o', str(made)])
        largest_first = sorted(zip(sources, objects), key=lambda pair: pair[0].stat().st_size, reverse=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda pair: compile_one(*pair), largest_first))
        libraries = [word for path in cpp_extension.library_paths() for word in (f'-L{path}', f'-Wl,-rpath,{path}')]
        made = Path(folder) / 'made.so'
        call([program, '-shared', *map(str, objects), *libraries, '-ltorch', '-ltorch_cpu', '-lc10', '-o', str(made)])
        os.replace(made, target)


def call(command: List[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f'the stand-in for an NPU does not build with torch {torch.__version__}:\n{" ".join(command)}\n'
                           f'{done.stdout[-6000:]}')


if __name__ == '__main__':  # says why it cannot be built here, and then status 1
    sys.exit(hindrance())
