"""One request: from the byte on that is here already, if the server has the same file still, else from the first.

Of a file that is not whole, FILE.part has its beginning and FILE.part.json says whose: the address, the size of the whole, and
the server's mark of this version (ETag, or the time of its last change). RFC 9110, sections 13.1.5 and 14.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
from contextlib import suppress
from http.client import HTTPException, InvalidURL
from typing import Any, Callable, Dict, Optional
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from mmcv_need.downloads.addresses import WEB, shown
from mmcv_need.serialization.atomic_files import write_atomically

TIMEOUT = 20.0  # seconds without an answer
BLOCK = 1 << 16
PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others a little later
Told = Callable[[int, Optional[int]], None]  # how many bytes are here, and of how many


class Unavailable(Exception):
    """It is no use to ask here again."""


class Dropped(Exception):
    """It may be of use to ask here again.

    Args:
        message: what happened.
        pause: seconds that the server asks for.
    """

    def __init__(self, message: str, pause: float = 0):
        super().__init__(message)
        self.pause = pause


class NoRoom(Exception):
    """The file cannot be written."""


class Redirects(HTTPRedirectHandler):
    """Follows a server's word to the web only, and not from a connection that is secure to one that is not."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Optional[Request]:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in WEB or (old, new) == ('https', 'http'):
            raise HTTPError(req.full_url, code, f'redirection to {shown(newurl)} is not followed', headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def transfer(address: str, part: str, told: Told) -> bool:
    """Bring the whole of a file to `part`, going on where that ends.

    Args:
        address: of the web.
        part: path of the file, which may be there in part.
        told: is called as bytes come.

    Returns:
        Whether it went on with bytes that had been here.

    Raises:
        Dropped, Unavailable: see there; what has come stays.
        NoRoom: it cannot be written.
    """
    known = _known(part, address)
    have = os.path.getsize(part) if known else 0
    if known and have == known['size']:  # all of it came before
        return True
    headers = {'User-Agent': 'mmcv_need', 'Accept-Encoding': 'identity'}
    if have:
        headers['Range'] = f'bytes={have}-'
        if known['mark']:
            headers['If-Range'] = known['mark']
    try:
        with build_opener(Redirects).open(Request(address, headers=headers), timeout=TIMEOUT) as response:
            start = _start_of(response, have, known, part)
            _receive(response, start, address, part, told)
            return start > 0
    except HTTPError as error:
        with error:
            raise _answered(error, part) from None
    except URLError as error:
        raise _unreached(error.reason) from None
    except (ValueError, InvalidURL) as error:
        raise Unavailable(f'no address that can be asked ({error})') from None
    except socket.timeout:
        raise Dropped(f'no answer for {TIMEOUT:g} s') from None
    except (OSError, HTTPException) as error:
        raise Dropped(f'the connection broke ({error or type(error).__name__})') from None


def forget(part: str) -> None:
    """Remove what has come of a file."""
    for path in (part, f'{part}.json'):
        with suppress(FileNotFoundError):
            os.unlink(path)


def _known(part: str, address: str) -> Dict[str, Any]:
    """What is known of the file that `part` is the beginning of; nothing if that is not of this address."""
    try:
        with open(f'{part}.json', encoding='utf-8') as file:
            known = json.load(file)
        fits = known['address'] == address and isinstance(known['mark'], (str, type(None)))
        fits = fits and (known['size'] is None or os.path.getsize(part) <= known['size'])
        return known if fits else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _start_of(response: Any, have: int, known: Dict[str, Any], part: str) -> int:
    """The byte that an answer begins with."""
    if response.status != 206:
        return 0  # a server that sends the whole: it knows no ranges, or its file has changed
    said = re.fullmatch(r'bytes (\d+)-\d+/(\d+)', response.headers.get('Content-Range', ''))
    if not have or not said or int(said.group(1)) != have or known['size'] not in (None, int(said.group(2))):
        forget(part)
        raise Dropped('the file has changed since its first part came')
    return have


def _receive(response: Any, start: int, address: str, part: str, told: Told) -> None:
    length = response.headers.get('Content-Length', '')
    total = start + int(length) if length.isdigit() else None
    free = shutil.disk_usage(os.path.dirname(part) or '.').free
    if total is not None and total - start > free:
        raise NoRoom(f'{(total - start) / 2**20:.0f} MB are needed and {free / 2**20:.0f} MB are free there')
    tag = response.headers.get('ETag', '')
    mark = tag if tag.startswith('"') else response.headers.get('Last-Modified')
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, 'O_NOFOLLOW', 0) | (os.O_APPEND if start else os.O_TRUNC)
    try:
        descriptor = os.open(part, flags, 0o666)
        if not start:
            write_atomically(f'{part}.json', json.dumps({'address': address, 'mark': mark, 'size': total}).encode())
    except OSError as error:
        raise NoRoom(error.strerror) from error
    done = start
    try:
        told(done, total)
        block = response.read1(BLOCK)
        while block:
            _write(descriptor, block)
            done += len(block)
            told(done, total)
            block = response.read1(BLOCK)
    finally:
        os.close(descriptor)
    if total is not None and done < total:
        raise Dropped(f'the connection broke after {done:,} of {total:,} bytes')
    if total is None and getattr(response, 'chunked', False):  # whose end is marked
        write_atomically(f'{part}.json', json.dumps({'address': address, 'mark': mark, 'size': done}).encode())


def is_whole(part: str) -> bool:
    """Whether as many bytes have come as the server said that there are, if it did."""
    try:
        with open(f'{part}.json', encoding='utf-8') as file:
            return json.load(file)['size'] == os.path.getsize(part)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _write(descriptor: int, block: bytes) -> None:
    left = memoryview(block)
    try:
        while left:
            left = left[os.write(descriptor, left):]
    except OSError as error:
        raise NoRoom(error.strerror) from error


def _answered(error: HTTPError, part: str) -> Exception:
    """What an answer that is none of the file means."""
    said = f'the server answers {error.code} {error.reason}'
    if error.code == 416:  # there is nothing behind what we have: it is another file
        forget(part)
        return Dropped('the file has changed since its first part came')
    after = error.headers.get('Retry-After', '') if error.headers else ''
    return Dropped(said, float(after) if after.isdigit() else 0) if error.code in PASSING else Unavailable(said)


def _unreached(reason: Any) -> Exception:
    """What it means that there is no connection."""
    if isinstance(reason, socket.timeout):
        return Unavailable(f'no connection within {TIMEOUT:g} s')
    if isinstance(reason, socket.gaierror):
        return Unavailable(f'its host is not known here: {reason.strerror}')
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Unavailable(f'its certificate is not trusted: {reason.verify_message}')
    return Dropped(f'no connection ({reason})')
