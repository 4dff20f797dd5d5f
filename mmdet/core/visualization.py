"""Paint detections onto a picture."""
from __future__ import annotations

from typing import Sequence

import cv2
import numpy as np

from mmdet.core.post_processing.detections import Detections

GOLDEN_ANGLE = 137.508  # degrees of hue between the colours of neighbouring labels: no two of them look alike


def label_colour(label: int) -> Sequence[int]:
    """A bright B, G, R for a label."""
    hue = label * GOLDEN_ANGLE % 360
    pixel = cv2.cvtColor(np.array([[[hue, 0.85, 1.0]]], dtype=np.float32), cv2.COLOR_HSV2BGR)
    return [int(channel) for channel in (pixel[0, 0] * 255).round()]


def draw_detections(img: np.ndarray, found: Detections, class_names: Sequence[str], score_thr: float = 0.3) -> np.ndarray:
    """A copy of a picture with boxes, names and scores.

    Args:
        img: (h, w, 3) uint8 B, G, R.
        found: in pixels of the picture.
        class_names: by label.
        score_thr: weaker detections are not painted.
    """
    painted = img.copy()
    for bbox, score, label in reversed(list(zip(found.bboxes, found.scores, found.labels))):  # the best on top
        if score < score_thr:
            continue
        x1, y1, x2, y2 = (round(float(side)) for side in bbox)
        colour = label_colour(int(label))
        cv2.rectangle(painted, (x1, y1), (x2, y2), colour, 2)
        text = f'{class_names[label]} {score:.2f}'
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
        top = max(y1 - height - below, 0)
        cv2.rectangle(painted, (x1, top), (x1 + width, top + height + below), colour, -1)
        cv2.putText(painted, text, (x1, top + height), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return painted
