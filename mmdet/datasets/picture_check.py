"""What is to be said of the picture files of a dataset."""
from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set

from mmcv_need.cores import available_cores
from mmcv_need.errors import DataError
from mmdet.datasets.defects import Defect
from mmdet.datasets.picture_files import check_size, decode_image, read_bytes
from mmdet.datasets.picture_header import Header, header_of

UNUSABLE = 'picture file that cannot be used'
# Pictures that are read well, and may not be what one thinks they are.
PICTURE_NOTES = ('grey picture', 'picture with an alpha channel, which is dropped', 'picture in four inks, for print',
                 'picture of more than 8 bits a channel, which is reduced to 8', 'picture that EXIF data turn or mirror',
                 'picture whose record says the size of it on its side', 'picture file of another kind than its name says')
SUFFIXES = {'JPEG': ('.jpg', '.jpeg', '.jpe', '.jfif'), 'PNG': ('.png',), 'BMP': ('.bmp', '.dib'), 'GIF': ('.gif',),
            'WebP': ('.webp',), 'TIFF': ('.tif', '.tiff')}


def check_picture(path: str, info: Mapping[str, Any]) -> List[Defect]:
    """What is to be said of a picture file, which is read and decoded.

    Args:
        path: of the file.
        info: its record, with `width` and `height`.
    """
    try:
        data = read_bytes(path)
        img = decode_image(data, path)
        check_size(img, info, path)
    except DataError as error:
        return [Defect(UNUSABLE, str(error))]
    found = notes_of(path, header_of(data))
    if (info.get('height'), info.get('width')) != img.shape[:2]:
        found.append(PICTURE_NOTES[5])
    return [Defect(kind, f'{path}: {kind}') for kind in found]


def notes_of(path: str, header: Optional[Header]) -> List[str]:
    """Kinds of PICTURE_NOTES that a header shows."""
    if header is None:
        return []
    holds = (header.channels <= 2, header.channels in (2, 4) and header.kind != 'JPEG', header.channels == 4 and
             header.kind == 'JPEG', header.bits > 8, header.orientation > 1, False,
             not path.lower().endswith(SUFFIXES[header.kind]))
    return [kind for kind, is_so in zip(PICTURE_NOTES, holds) if is_so]


def check_pictures(dataset: Any, indices: Sequence[int], threads: Optional[int] = None) -> Iterator[List[Defect]]:
    """What is to be said of each of some pictures of a dataset, in this order; decoded by several threads.

    Args:
        dataset: with `annotations` and `img_prefix`.
        indices: of the pictures.
        threads: as many as there are cores by default.
    """
    def check(index: int) -> List[Defect]:
        info = dataset.annotations.info(index)
        return check_picture(os.path.join(dataset.img_prefix, info['filename']), info)

    with ThreadPoolExecutor(threads or max(1, available_cores())) as pool:
        for start in range(0, len(indices), 1024):  # not all at once: what is done and not yet fetched would pile up
            yield from pool.map(check, indices[start:start + 1024])


def missing_pictures(dataset: Any) -> List[Defect]:
    """The pictures whose files are not in their folders. Each folder is listed once: asking for each file takes far longer."""
    listed: Dict[str, Set[str]] = {}
    found = []
    for name in dataset.annotations.file_names:
        folder, base = os.path.split(os.path.join(dataset.img_prefix, name))
        if folder not in listed:
            try:
                listed[folder] = set(os.listdir(folder or '.'))
            except OSError:
                listed[folder] = set()
        if base not in listed[folder]:
            path = os.path.join(folder, base)
            try:
                read_bytes(path)  # says what is there instead; or finds it, where a file has several names
            except DataError as error:
                found.append(Defect(UNUSABLE, str(error)))
    return found
