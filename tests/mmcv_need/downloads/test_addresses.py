"""What an address says of its file, and the mirrors in its place."""
from __future__ import annotations

import pytest

from mmcv_need.downloads.addresses import places, shown, wanted
from mmcv_need.errors import CheckpointError, UserError

SHA = '0123456789abcdef' * 4


@pytest.mark.parametrize('address, expected', [
    ('https://h/a/net-292e1171.pth', ('https://h/a/net-292e1171.pth', 'net-292e1171.pth', '292e1171', False)),
    ('https://h/net-292e1171.safetensors?v=2', ('https://h/net-292e1171.safetensors?v=2', 'net-292e1171.safetensors',
                                                '292e1171', False)),
    ('https://h/ssd300_20210803_015428-d231a06e.pth', ('https://h/ssd300_20210803_015428-d231a06e.pth',
                                                       'ssd300_20210803_015428-d231a06e.pth', 'd231a06e', False)),
    ('https://h/net-1234.pth', ('https://h/net-1234.pth', 'net-1234.pth', '', False)),
    (f'https://h/net.pth#sha256={SHA}', ('https://h/net.pth', 'net.pth', SHA, True)),
    (f'https://h/net-292e1171.pth#sha256={SHA.upper()}', ('https://h/net-292e1171.pth', 'net-292e1171.pth', SHA, True)),
    ('file:///a/b%20c.pth', ('file:///a/b%20c.pth', 'b c.pth', '', False))])
def test_the_name_and_the_checksum_follow_from_the_address(address, expected):
    assert wanted(address) == expected


@pytest.mark.parametrize('address, words', [
    ('https://h/', 'names no file'), ('https://h', 'names no file'), ('https://h/a/..', 'names no file'),
    ('https://h/a.pth#sha256=123', '64 hexadecimal digits'), ('https://h/a.pth#md5=1', '64 hexadecimal digits'),
    ('https://[h/a.pth', 'is no address')])
def test_what_is_no_address_of_a_file_is_one_line(address, words):
    with pytest.raises(CheckpointError, match=words):
        wanted(address)


@pytest.mark.parametrize('mirrors, address, expected', [
    ('', 'https://h/a/x.pth', ['https://h/a/x.pth']),
    ('https://m', 'https://h/a/x.pth?b=1', ['https://m/a/x.pth?b=1']),
    ('https://m/sub/  http://n', 'http://h:80/a/x.pth', ['https://m/sub/a/x.pth', 'http://n/a/x.pth']),
    ('https://m', 'file:///a/x.pth', ['file:///a/x.pth'])])
def test_mirrors_take_the_place_of_the_host(mirrors, address, expected, monkeypatch):
    monkeypatch.setenv('SSD_WEIGHTS_MIRROR', mirrors)
    assert places(address) == expected


@pytest.mark.parametrize('mirror', ['file:///etc', 'mirror', 'https://', 'ftp://m'])
def test_a_mirror_that_is_no_address_of_the_web_is_one_line(mirror, monkeypatch):
    monkeypatch.setenv('SSD_WEIGHTS_MIRROR', f'https://m {mirror}')
    with pytest.raises(UserError, match=f"SSD_WEIGHTS_MIRROR: '{mirror}' is no address"):
        places('https://h/a.pth')


def test_messages_show_no_secret_of_an_address():
    assert shown('https://user:password@h:8080/a/b.pth?token=secret') == 'https://h:8080/a/b.pth'
