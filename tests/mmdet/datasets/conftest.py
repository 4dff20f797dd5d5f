"""Pictures, random numbers and annotation files for the tests of the datasets."""
from __future__ import annotations

import importlib.util
import json
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import cv2
import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope='session')
def eager() -> Any:
    """The plain versions of the transforms, pipelines/eager.py."""
    spec = importlib.util.spec_from_file_location('eager', HERE / 'pipelines' / 'eager.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def golden() -> Callable[[str], Any]:
    """Reads one of MMDetection's numbers, see data/README.md."""
    def read(name: str) -> Any:
        path = HERE / 'data' / name
        return json.loads(path.read_text()) if path.suffix == '.json' else np.load(path)
    return read


@pytest.fixture(scope='session')
def natural_picture() -> Callable[..., np.ndarray]:
    """(h, w, 3) uint8 with the spectrum of a photograph: smooth shades, some texture, soft edges. Noise is not natural."""
    def make(seed: int, height: int = 240, width: int = 320) -> np.ndarray:
        rng = np.random.RandomState(seed)
        picture = np.full((height, width, 3), 120.)
        for octave in range(1, 8):  # amplitude falls with frequency
            grid = rng.standard_normal((2 ** octave, 2 ** octave, 3)) * (90 / 2 ** octave)
            picture += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        for _ in range(5):  # things with edges
            x, y = rng.randint(0, width), rng.randint(0, height)
            radius = rng.randint(min(height, width) // 8 + 1, min(height, width) // 3 + 2)
            thing = np.zeros((height, width))
            cv2.circle(thing, (x, y), radius, 1., -1)
            share = cv2.GaussianBlur(thing, (0, 0), 1.)[..., None]
            picture = picture * (1 - share) + (picture * 0.5 + rng.randint(0, 128, 3)) * share
        return picture.clip(0, 255).astype(np.uint8)
    return make


@pytest.fixture(scope='session')
def jpeg_bytes() -> Callable[..., bytes]:
    """A picture as a JPEG file."""
    def encode(picture: np.ndarray, quality: int = 95) -> bytes:
        return cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return encode


@pytest.fixture(scope='session')
def with_orientation() -> Callable[..., bytes]:
    """A JPEG with an EXIF block that holds nothing but the orientation."""
    def add(data: bytes, orientation: int, order: str = 'II') -> bytes:
        mark = {'II': '<', 'MM': '>'}[order]
        tiff = struct.pack(f'{mark}HIHHHIHHI', 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
        block = b'Exif\0\0' + order.encode() + tiff
        return data[:2] + b'\xff\xe1' + struct.pack('>H', len(block) + 2) + block + data[2:]
    return add


class LegacyDraws:
    """numpy's legacy generator, whose stream is frozen, behind the methods of the new one that transforms use."""

    def __init__(self, seed: int):
        self.state = np.random.RandomState(seed)

    def uniform(self, low: float, high: float) -> float:
        return self.state.uniform(low, high)

    def integers(self, low: int, high: Any = None) -> int:
        return self.state.randint(low, high)

    def random(self, size: Any = None) -> Any:
        """One draw; or, of many that may not all be used, each when it is."""
        return self.state.random_sample() if size is None else SimpleNamespace(
            tolist=lambda: (self.random() for _ in range(size)))

    def permutation(self, count: int) -> np.ndarray:
        return self.state.permutation(count)


@pytest.fixture(scope='session')
def legacy_draws() -> Any:
    return LegacyDraws


class ScriptedDraws:
    """Draws that a test decides: uniform takes the next share in 0..1 of its range, the others the next value.

    Attributes:
        calls: (method, arguments) of each draw, in order.
    """

    def __init__(self, *values: Any):
        self.values = list(values)
        self.calls: list = []

    def _next(self, method: str, *arguments: Any) -> Any:
        self.calls.append((method, *arguments))
        return self.values.pop(0)

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self._next('uniform', low, high)

    def integers(self, low: int, high: Any = None) -> int:
        return self._next('integers', low)

    def random(self, size: Any = None) -> Any:
        return self._next('random') if size is None else SimpleNamespace(tolist=lambda: (self.random() for _ in range(size)))

    def permutation(self, count: int) -> Any:
        return self._next('permutation', count)


@pytest.fixture(scope='session')
def scripted_draws() -> Any:
    return ScriptedDraws


@pytest.fixture(scope='session')
def make_sample() -> Callable[..., Any]:
    """A sample as LoadImageFromFile and LoadAnnotations leave it."""
    from mmdet.datasets.pipelines import Compose, Sample
    from mmdet.datasets.pipelines.loading import LoadAnnotations, LoadImageFromFile

    def make(picture: np.ndarray, boxes: Any = (), labels: Any = None, ignored: Any = (), rng: Any = None) -> Any:
        boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
        labels = np.arange(len(boxes)) if labels is None else labels
        info = {'bboxes': boxes, 'labels': np.array(labels, dtype=np.int64),
                'bboxes_ignore': np.array(ignored, dtype=np.float32).reshape(-1, 4)}
        sample = Sample(img_info={'filename': 'picture.jpg', 'array': picture}, ann_info=info, rng=rng)
        return Compose([LoadImageFromFile(), LoadAnnotations()])(sample)
    return make


@pytest.fixture(scope='session')
def coco_folder() -> Callable[..., Path]:
    """Writes a COCO annotation file, and pictures too if asked, and returns the json's path."""
    def write(folder: Path, images: Any, annotations: Any = (), categories: Any = ('cat', 'dog', 'horse'),
              pictures: bool = False) -> Path:
        """images: (width, height) each, ids from 1; annotations: dicts, completed here; categories: names, ids 10, 20, .."""
        content = {
            'images': [{'id': i, 'file_name': f'{i:03}.png', 'width': width, 'height': height}
                       for i, (width, height) in enumerate(images, 1)],
            'annotations': [{'id': i, 'iscrowd': 0, 'area': item['bbox'][2] * item['bbox'][3], **item}
                            for i, item in enumerate(annotations, 1)],
            'categories': [{'id': 10 * i, 'name': name} for i, name in enumerate(categories, 1)]}
        if pictures:
            for image in content['images']:
                pixels = np.random.RandomState(image['id']).randint(0, 256, (image['height'], image['width'], 3))
                cv2.imwrite(str(folder / image['file_name']), pixels.astype(np.uint8))
        path = folder / 'annotations.json'
        path.write_text(json.dumps(content))
        return path
    return write
