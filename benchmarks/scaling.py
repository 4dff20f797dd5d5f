"""What 1 to 1,024 cards should do, computed from measured constants: python benchmarks/scaling.py --images-per-second 1200

Nothing here is measured. Gradients are averaged in a ring within each machine and in a ring of the machines, which is what
NCCL and HCCL come to; DDP hides that behind the backward pass, but for its last bucket, which ends with the pass.
"""
from __future__ import annotations

import argparse
import sys
from typing import Dict, List, NamedTuple, Sequence

PARAMETERS = 34.3e6  # of SSD300 with 80 classes
BUCKET = 25e6  # bytes that DDP averages at once; the last bucket cannot hide
BACKWARD_SHARE = 2 / 3  # of a step's operations
TRAIN2017, VAL2017, PASSES, EVALUATIONS = 118_287, 5_000, 120, 24
COUNTS = (1, 2, 4, 8, 16, 64, 256, 1024)

# Bytes/s that a card (within a machine) or a machine (between them) sends while it receives as many. Sources: Huawei's
# msmodeling device table (HCCS of Atlas A2), NVIDIA's data sheets (NVLink 4: 900 GB/s both ways), plain arithmetic (Ethernet).
WITHIN = {'HCCS': 196e9, 'NVLink': 450e9}
BETWEEN = {'25 Gb/s': 25e9 / 8, '100 Gb/s': 100e9 / 8, '200 Gb/s': 200e9 / 8}
LATENCY_WITHIN, LATENCY_BETWEEN = 5e-6, 20e-6  # seconds a message


class Constants(NamedTuple):
    """What has to be measured.

    Fields:
        images_per_second: of one card's step.
        batch: a card.
        pipeline: images/s that one core prepares.
        inference: images/s of one card that detects.
        metric: seconds of COCO's metric for val2017, on one process.
    """
    images_per_second: float
    batch: int = 32
    pipeline: float = 400.0
    inference: float = 2000.0
    metric: float = 4.0


class Network(NamedTuple):
    """Bytes/s within a machine and between machines, and cards a machine."""
    within: float
    between: float
    cards: int = 8


def ring_seconds(num_bytes: float, members: int, bandwidth: float, latency: float) -> float:
    """Of an all-reduce: each member sends 2 (n - 1) / n of the bytes, in 2 (n - 1) messages."""
    if members == 1:
        return 0.0
    return 2 * (members - 1) * (num_bytes / members / bandwidth + latency)


def reduce_seconds(num_bytes: float, count: int, network: Network) -> float:
    """Of an all-reduce over `count` cards: within each machine, then of the machines' sums between them."""
    inside = min(count, network.cards)
    return (ring_seconds(num_bytes, inside, network.within, LATENCY_WITHIN)
            + ring_seconds(num_bytes, -(-count // network.cards), network.between, LATENCY_BETWEEN))


def predict(count: int, constants: Constants, network: Network, parameters: float = PARAMETERS) -> Dict[str, float]:
    """Of a run on `count` cards.

    Returns:
        reduce_ms: of all gradients, hidden or not.
        exposed_ms: what of it the backward pass does not hide.
        images_per_second: of all cards.
        efficiency: of that over `count` times one card.
        cores: that prepare pictures, a card.
        evaluation_s: of val2017, detections and metric.
        hours: of 120 passes over train2017 and 24 evaluations.
    """
    compute = constants.batch / constants.images_per_second
    num_bytes = 4 * parameters  # averaged in float32
    whole = reduce_seconds(num_bytes, count, network)
    last = reduce_seconds(min(BUCKET, num_bytes), count, network)
    exposed = max(whole - compute * BACKWARD_SHARE, last)
    step = compute + exposed
    rate = count * constants.batch / step
    evaluation = VAL2017 / (count * constants.inference) + constants.metric
    return {'reduce_ms': 1000 * whole, 'exposed_ms': 1000 * exposed, 'images_per_second': rate,
            'efficiency': rate / (count * constants.images_per_second), 'cores': rate / count / constants.pipeline,
            'evaluation_s': evaluation, 'hours': (TRAIN2017 * PASSES / rate + EVALUATIONS * evaluation) / 3600}


def table(constants: Constants, within: str, between: str, counts: Sequence[int] = COUNTS) -> List[str]:
    """Markdown."""
    lines = [f'Computed, not measured: {constants.images_per_second:g} images/s a card at batch {constants.batch}, '
             f'{constants.pipeline:g} images/s a core, {4 * PARAMETERS / 1e6:.0f} MB of gradients, {within} within machines of '
             f'8 cards and {between} between them.', '',
             '| cards | all-reduce | not hidden | images/s | efficiency | cores a card | evaluation | 120 passes |',
             '|---|---|---|---|---|---|---|---|']
    for count in counts:
        found = predict(count, constants, Network(WITHIN[within], BETWEEN[between]))
        lines.append(f"| {count:,} | {found['reduce_ms']:.2f} ms | {found['exposed_ms']:.2f} ms | "
                     f"{found['images_per_second']:,.0f} | {found['efficiency']:.0%} | {found['cores']:.1f} | "
                     f"{found['evaluation_s']:.1f} s | {found['hours']:.2f} h |")
    return lines


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description='Compute what 1 to 1,024 cards should do')
    parser.add_argument('--images-per-second', type=float, required=True, help="measured: one card's step")
    parser.add_argument('--batch', type=int, default=32, help='a card (default: %(default)s)')
    parser.add_argument('--pipeline', type=float, default=400.0, help='measured: images/s a core (default: %(default)s)')
    parser.add_argument('--inference', type=float, default=2000.0, help='measured: images/s a card (default: %(default)s)')
    parser.add_argument('--metric', type=float, default=4.0, help='measured: seconds of the metric (default: %(default)s)')
    parser.add_argument('--within', choices=WITHIN, default='HCCS', help='machines (default: %(default)s)')
    parser.add_argument('--between', choices=BETWEEN, nargs='+', default=list(BETWEEN), help='machines (default: all)')
    args = parser.parse_args(arguments)
    constants = Constants(args.images_per_second, args.batch, args.pipeline, args.inference, args.metric)
    if min(constants) <= 0:
        print('error: expected numbers of more than 0', file=sys.stderr)
        return 2
    for between in args.between:
        print('\n'.join([*table(constants, args.within, between), '']))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
