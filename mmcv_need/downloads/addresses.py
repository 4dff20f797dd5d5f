"""What an address says of its file, and where else the file may be."""
from __future__ import annotations

import os
import re
from typing import List, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from mmcv_need.errors import CheckpointError, UserError

MIRRORS = 'SSD_WEIGHTS_MIRROR'  # variable of the environment: addresses that take the place of the host, separated by blanks
WEB = ('https', 'http')
DIGITS = re.compile(r'-([0-9a-f]{8,64})\.\w+')  # of a file's sha256, at the end of its name, as torch's and MMDetection's have
EXPLICIT = re.compile(r'sha256=([0-9a-fA-F]{64})')


class Wanted(NamedTuple):
    """Fields:
        address: without its fragment.
        name: of the file.
        digits: with which its sha256 begins; '' if nobody says.
        exact: whether those were asked for beside the name, so that a file of that name may be another one.
    """
    address: str
    name: str
    digits: str
    exact: bool


def wanted(address: str) -> Wanted:
    """What is behind an address, which may end in `#sha256=` and 64 digits.

    Raises:
        CheckpointError: it names no file, or its end is something else.
    """
    plain, _, fragment = address.partition('#')
    try:
        name = os.path.basename(unquote(urlsplit(plain).path))
    except ValueError as error:
        raise CheckpointError(f"'{address}' is no address ({error})") from None
    if name in ('', '.', '..') or '\0' in name:
        raise CheckpointError(f"'{address}' names no file")
    explicit, named = EXPLICIT.fullmatch(fragment), DIGITS.search(name)
    if fragment and not explicit:
        raise CheckpointError(f"'{address}' ends in '#{fragment}'; expected '#sha256=' and 64 hexadecimal digits")
    if explicit:
        return Wanted(plain, name, explicit.group(1).lower(), True)
    return Wanted(plain, name, named.group(1) if named and named.end() == len(name) else '', False)


def places(address: str) -> List[str]:
    """Where to look for a file, in order: the address itself, or in its place the mirrors that the environment names.

    Raises:
        UserError: a mirror is no address of the web.
    """
    parts, mirrors = urlsplit(address), os.environ.get(MIRRORS, '').split()
    if parts.scheme not in WEB or not mirrors:
        return [address]
    for mirror in mirrors:
        if urlsplit(mirror).scheme not in WEB or not urlsplit(mirror).netloc:
            raise UserError(f"{MIRRORS}: '{mirror}' is no address; expected one that begins with https:// and a host")
    query = f'?{parts.query}' if parts.query else ''
    return [f'{mirror.rstrip("/")}{parts.path}{query}' for mirror in mirrors]


def path_of(address: str) -> str:
    """The file of this machine that a `file://` address names; '' if it names none that is here."""
    parts = urlsplit(address)
    path = url2pathname(parts.path)
    return path if parts.netloc in ('', 'localhost') and os.path.isfile(path) else ''


def shown(address: str) -> str:
    """An address for messages: what follows its path may be a secret, and so may what stands before its host."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
