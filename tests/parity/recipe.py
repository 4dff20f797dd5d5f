"""Inputs that MMDetection and we were given alike, made from seeds. numpy only.

Every weight comes from a generator of its own, seeded by its key, so neither creation order nor torch's generator matter.
"""
from __future__ import annotations

import zlib

import numpy as np

SSD300_FEAT = [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]
SSD300_NA = [4, 6, 6, 6, 4, 4]


def fill(name, shape):
    """The weight of MMDetection 2.28's state dict called `name`, float32.

    Convolutions: standard normal times sqrt(2 / fan in), and times 0.01 in the head. L2 norm: 20 plus standard normal. Biases:
    0.01 times standard normal. Computed in float64.
    """
    rng = np.random.RandomState(zlib.crc32(name.encode()) & 0xffffffff)
    v = rng.standard_normal(tuple(shape))
    if len(shape) == 4:
        v *= np.sqrt(2.0 / (shape[1] * shape[2] * shape[3]))
        if name.startswith('bbox_head.'):
            v *= 0.01
    elif name.endswith('l2_norm.weight'):
        v = 20 + v
    else:
        v *= 0.01
    return v.astype(np.float32)


def fill_normed(name, shape):
    """The same for SSDLite, which has a batch norm after almost every convolution, and whose values stay small.

    Convolutions: as `fill`, the head's as all others. Norms: scale 1 + 0.1 times standard normal, shift and running mean 0.1
    times standard normal, running variance exp(0.2 times standard normal), no batches.
    """
    if name.endswith('num_batches_tracked'):
        return np.zeros(tuple(shape), np.int64)
    v = np.random.RandomState(zlib.crc32(name.encode()) & 0xffffffff).standard_normal(tuple(shape))
    if len(shape) == 4:
        v *= np.sqrt(2.0 / (shape[1] * shape[2] * shape[3]))
    elif name.endswith('running_var'):
        v = np.exp(0.2 * v)
    else:
        v = 0.1 * v + name.endswith('bn.weight')
    return v.astype(np.float32)


def images(seed, n, h=300, w=300, scale=50.0):
    """(n, 3, h, w) float32."""
    return (np.random.RandomState(seed).standard_normal((n, 3, h, w)) * scale).astype(np.float32)


def boxes(seed, n, size=300, lo=10, hi=250, ncls=80):
    """(n, 4) float32 x1 y1 x2 y2 inside size x size, and (n,) int64 labels."""
    r = np.random.RandomState(seed)
    wh = r.uniform(lo, hi, (n, 2))
    xy = r.uniform(0, 1, (n, 2)) * (size - wh)
    b = np.concatenate([xy, xy + wh], 1).astype(np.float32).reshape(-1, 4)
    return b, r.randint(0, ncls, n).astype(np.int64)


def head_outputs(seed, n, ncls=80, feats=SSD300_FEAT, na=SSD300_NA, cls_scale=3.0, box_scale=1.0):
    """Made-up maps of a head by level: lists of (n, K*(ncls+1), h, w) and (n, K*4, h, w), float32."""
    r = np.random.RandomState(seed)
    cls = [(r.standard_normal((n, a * (ncls + 1), h, w)) * cls_scale).astype(np.float32) for (h, w), a in zip(feats, na)]
    box = [(r.standard_normal((n, a * 4, h, w)) * box_scale).astype(np.float32) for (h, w), a in zip(feats, na)]
    return cls, box


# Of torchvision's ssd300_vgg16

NO_CLASS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # ids of COCO that nothing is annotated with
TV_BOXES = (4, 6, 6, 6, 4, 4)


def fill_torchvision(name, shape):
    """The weight of torchvision's state dict called `name`, float32.

    As `fill`; but the convolutions for scores are scaled so that a few boxes of a picture are sure of something, and their
    biases keep the ids without a class away, as training does.
    """
    rng = np.random.RandomState(zlib.crc32(name.encode()) & 0xffffffff)
    v = rng.standard_normal(tuple(shape))
    if len(shape) == 4:
        v *= np.sqrt(2.0 / (shape[1] * shape[2] * shape[3]))
        if name.startswith('head.'):
            v *= 0.02 if 'classification' in name else 0.01
    elif name == 'backbone.scale_weight':
        v = 20 + v
    elif 'classification_head' in name:
        v = v.reshape(-1, 91) * 0.01
        v[:, 0] += 4
        v[:, list(NO_CLASS)] -= 30
        v = v.reshape(-1)
    else:
        v *= 0.01
    return v.astype(np.float32)


def picture(seed, h, w):
    """(h, w, 3) uint8, BGR: noise over a gradient."""
    r = np.random.RandomState(seed)
    y, x = np.mgrid[:h, :w]
    base = np.stack([200 * x / w, 200 * y / h, 100 + 50 * np.sin(x / 17) * np.cos(y / 23)], axis=-1)
    return np.clip(base + r.uniform(0, 55, (h, w, 3)), 0, 255).astype(np.uint8)
