"""SSD's transforms the plain way: each builds its picture, canvases included, before the next begins.

The oracle for the planned transforms, written from the description of MMDetection 2.x's behaviour. A sample is a dict with
`img` (h, w, 3) BGR, uint8 or float32; `gt_bboxes`, `gt_bboxes_ignore` (n, 4) float32 x1, y1, x2, y2; `gt_labels` (n,).
Random numbers come from `rng`, in MMDetection's order.
"""
from __future__ import annotations

import cv2
import numpy as np

FIELDS = ('gt_bboxes_ignore', 'gt_bboxes')


def expand(sample, rng, mean, to_rgb=True, ratio_range=(1, 4), prob=0.5):
    if rng.uniform(0, 1) > prob:
        return
    picture = sample['img']
    height, width, _ = picture.shape
    ratio = rng.uniform(*ratio_range)
    canvas = np.empty((int(height * ratio), int(width * ratio), 3), dtype=picture.dtype)
    canvas[:] = np.array(mean[::-1] if to_rgb else mean).astype(picture.dtype)  # integers lose their fraction
    left = int(rng.uniform(0, width * ratio - width))
    top = int(rng.uniform(0, height * ratio - height))
    canvas[top:top + height, left:left + width] = picture
    sample['img'] = canvas
    for field in FIELDS:
        sample[field] = sample[field] + np.float32([left, top, left, top])


def min_iou_random_crop(sample, rng, min_ious=(0.1, 0.3, 0.5, 0.7, 0.9), min_crop_size=0.3):
    height, width, _ = sample['img'].shape
    boxes = np.concatenate([sample[field] for field in FIELDS])
    while True:
        mode = (1, *min_ious, 0)[rng.integers(len(min_ious) + 2)]
        if mode == 1:
            return
        draws = iter(rng.random(200).tolist())
        for _ in range(50):
            w = min_crop_size * width + (width - min_crop_size * width) * next(draws)
            h = min_crop_size * height + (height - min_crop_size * height) * next(draws)
            if not 0.5 <= h / w <= 2:
                continue
            left = (width - w) + (1 - (width - w)) * next(draws)  # numpy's uniform(x) draws between x and 1
            top = (height - h) + (1 - (height - h)) * next(draws)
            x1, y1, x2, y2 = int(left), int(top), int(left + w), int(top + h)
            if x1 == x2 or y1 == y2:
                continue
            if len(boxes) and min(iou((x1, y1, x2, y2), box) for box in boxes) < mode:
                continue
            if len(boxes) and not any(has_centre_inside((x1, y1, x2, y2), box) for box in boxes):
                continue
            crop(sample, x1, y1, x2, y2)
            return


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0) * max(height, 0)
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)


def has_centre_inside(patch, box):
    return patch[0] < (box[0] + box[2]) / 2 < patch[2] and patch[1] < (box[1] + box[3]) / 2 < patch[3]


def crop(sample, x1, y1, x2, y2):
    sample['img'] = sample['img'][y1:y2, x1:x2].copy()
    for field in FIELDS:
        kept = [i for i, box in enumerate(sample[field]) if has_centre_inside((x1, y1, x2, y2), box)]
        boxes = sample[field][kept]
        boxes[:, 0::2] = boxes[:, 0::2].clip(x1, x2) - x1
        boxes[:, 1::2] = boxes[:, 1::2].clip(y1, y2) - y1
        sample[field] = boxes
        if field == 'gt_bboxes':
            sample['gt_labels'] = sample['gt_labels'][kept]


def resize(sample, rng, width, height):
    old_height, old_width, _ = sample['img'].shape
    sample['img'] = cv2.resize(sample['img'], (width, height), interpolation=cv2.INTER_LINEAR)
    factors = np.float32([width / old_width, height / old_height] * 2)
    for field in FIELDS:
        boxes = sample[field] * factors
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
        sample[field] = boxes
    sample['scale_factor'] = factors


def random_flip(sample, rng, ratio=0.5, direction='horizontal'):
    if rng.random() >= ratio:
        return
    height, width, _ = sample['img'].shape
    if direction in ('horizontal', 'diagonal'):
        sample['img'] = np.fliplr(sample['img'])
        for field in FIELDS:
            x1, y1, x2, y2 = sample[field].T
            sample[field] = np.stack([width - x2, y1, width - x1, y2], axis=1)
    if direction in ('vertical', 'diagonal'):
        sample['img'] = np.flipud(sample['img'])
        for field in FIELDS:
            x1, y1, x2, y2 = sample[field].T
            sample[field] = np.stack([x1, height - y2, x2, height - y1], axis=1)


def photo_metric_distortion(sample, rng, saturation=(0.5, 1.5), hue=18):
    picture = sample['img'].astype(np.float32)
    if rng.integers(2):
        picture += np.float32(rng.uniform(-32, 32))
    contrast_first = rng.integers(2)
    if contrast_first and rng.integers(2):
        picture *= np.float32(rng.uniform(0.5, 1.5))
    picture = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
    if rng.integers(2):
        picture[..., 1] *= np.float32(rng.uniform(*saturation))
    if rng.integers(2):
        picture[..., 0] += np.float32(rng.uniform(-hue, hue))
        picture[..., 0][picture[..., 0] > 360] -= 360
        picture[..., 0][picture[..., 0] < 0] += 360
    picture = cv2.cvtColor(picture, cv2.COLOR_HSV2BGR)
    if not contrast_first and rng.integers(2):
        picture *= np.float32(rng.uniform(0.5, 1.5))
    if rng.integers(2):
        picture = picture[..., rng.permutation(3)]
    sample['img'] = picture


def normalize(sample, rng, mean, std, to_rgb=True):
    picture = sample['img'].astype(np.float32)
    if to_rgb:
        picture = picture[..., ::-1]
    sample['img'] = (picture - np.float32(mean)) / np.float32(std)
