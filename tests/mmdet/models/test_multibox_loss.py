"""The batched loss, against the paper's written as a loop over boxes."""
from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcv_need.torch_versions import TORCH_VERSION
from mmdet.models.losses.multibox_loss import hardest_sum, multibox_loss

N, A, C = 3, 40, 5


def smooth_l1_by_definition(d, beta):
    return 0.5 * d * d / beta if abs(d) < beta else abs(d) - 0.5 * beta


def loss_by_definition(scores, deltas, labels, targets, positive, negative, ratio=3.0, beta=1.0):
    """Eq. (1) to (3) and "hard negative mining" of the paper, in Python floats: lists of loss_cls and loss_bbox by image."""
    normalizer = sum(max(1, int(image.sum())) for image in positive)
    all_cls, all_bbox = [], []
    for i in range(len(scores)):
        cls, bbox, of_negatives, num_positive = 0., 0., [], 0
        for a in range(len(scores[i])):
            row = scores[i][a].tolist()
            highest = max(row)
            log_sum = highest + math.log(sum(math.exp(value - highest) for value in row))
            if positive[i][a]:
                num_positive += 1
                cls += log_sum - row[int(labels[i][a])]
                bbox += sum(smooth_l1_by_definition(d - t, beta)
                            for d, t in zip(deltas[i][a].tolist(), targets[i][a].tolist()))
            elif negative[i][a]:
                of_negatives.append(log_sum - row[-1])
        of_negatives.sort(reverse=True)
        wanted = ratio * num_positive
        cls += sum(loss for rank, loss in enumerate(of_negatives) if rank < wanted)
        all_cls.append(cls / normalizer)
        all_bbox.append(bbox / normalizer)
    return all_cls, all_bbox


def batch(share_positive, share_ignored=0., seed=0, levels=None):
    """Random arguments of `multibox_loss`. `levels`: so many different score rows, so that losses tie."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(N, A, generator=generator)
    positive, ignored = draw < share_positive, draw >= 1 - share_ignored
    scores = torch.randn(N, A, C + 1, generator=generator) * 3
    if levels:
        scores = scores[0, :levels][torch.randint(levels, (N, A), generator=generator)]
    labels = torch.randint(C, (N, A), generator=generator).masked_fill(~positive, C)
    deltas, targets = torch.randn(2, N, A, 4, generator=generator) * 2
    return scores, deltas, labels, targets * positive[..., None], positive, ~positive & ~ignored


def check(arguments, device='cpu', **options):
    expected_cls, expected_bbox = loss_by_definition(*arguments, options.get('neg_pos_ratio', 3.), options.get('beta', 1.))
    losses = multibox_loss(*(argument.to(device) for argument in arguments), **options)
    assert losses['loss_cls'].tolist() == pytest.approx(expected_cls, rel=1e-5, abs=1e-6)
    assert losses['loss_bbox'].tolist() == pytest.approx(expected_bbox, rel=1e-5, abs=1e-6)
    return losses


@pytest.mark.parametrize('share_positive', [0., .1, .5, 1.])
def test_matches_the_definition(share_positive, device):
    arguments = batch(share_positive)
    assert arguments[4].float().mean().item() == pytest.approx(share_positive, abs=.06)
    check(arguments, device)


@settings(max_examples=25, deadline=None)
@given(share_positive=st.floats(0, 1), share_ignored=st.floats(0, 1), levels=st.sampled_from([None, 1, 3]),
       ratio=st.sampled_from([0, 1, 2.5, 3, 100]), beta=st.sampled_from([1., 1 / 9, .5, 0.]), seed=st.integers(0, 2**31))
def test_matches_it_with_ignored_boxes_ties_and_other_ratios(share_positive, share_ignored, levels, ratio, beta, seed):
    check(batch(share_positive, share_ignored, seed, levels), neg_pos_ratio=ratio, beta=beta)


def test_ties_at_the_last_mined_rank_change_no_sum():
    """All scores are equal, so all losses are: one counts for each positive, and three negatives."""
    scores, deltas, labels, targets, positive, negative = batch(.1)
    scores = torch.zeros_like(scores)
    losses = check((scores, deltas, labels, targets, positive, negative))
    count = positive.sum(dim=1).float()
    expected = count * 4 * math.log(C + 1) / count.clamp(min=1).sum()
    torch.testing.assert_close(losses['loss_cls'], expected)


def test_where_negatives_run_out_all_of_them_count():
    arguments = batch(.9)
    assert (arguments[5].sum(dim=1) < 3 * arguments[4].sum(dim=1)).all()
    losses = check(arguments)
    everything = multibox_loss(*arguments, neg_pos_ratio=1e6)
    assert losses['loss_cls'].equal(everything['loss_cls'])


def test_an_image_without_positives_teaches_nothing_but_counts_as_one_in_the_normalizer():
    scores, deltas, labels, targets, positive, negative = batch(.3)
    positive[1], negative[1], labels[1], targets[1] = False, True, C, 0.
    scores.requires_grad_()
    deltas.requires_grad_()
    losses = check((scores, deltas, labels, targets, positive, negative))
    assert losses['loss_cls'][1] == 0 and losses['loss_bbox'][1] == 0
    sum(loss.sum() for loss in losses.values()).backward()
    assert scores.grad[1].abs().sum() == 0 and deltas.grad[1].abs().sum() == 0
    without = multibox_loss(*(part[[0, 2]] for part in (scores, deltas, labels, targets, positive, negative)))
    count = positive[[0, 2]].sum()
    torch.testing.assert_close(losses['loss_cls'][[0, 2]] * (count + 1), without['loss_cls'] * count)


def test_mining_is_within_each_image():
    """The hardest negatives of the batch are all in image 1, which has no positives."""
    scores, deltas, labels, targets, positive, negative = batch(.2)
    positive[1], negative[1], labels[1], targets[1] = False, True, C, 0.
    scores[1, :, C] -= 50
    assert check((scores, deltas, labels, targets, positive, negative))['loss_cls'][1] == 0


def test_ignored_boxes_have_no_loss_and_no_gradient():
    arguments = batch(.3, share_ignored=.4)
    scores, deltas = arguments[0].requires_grad_(), arguments[1].requires_grad_()
    sum(loss.sum() for loss in multibox_loss(*arguments).values()).backward()
    ignored = ~(arguments[4] | arguments[5])
    assert ignored.any()
    assert scores.grad[ignored].abs().sum() == 0 and deltas.grad[ignored].abs().sum() == 0


@pytest.mark.skipif(TORCH_VERSION < (1, 11), reason='torch 1.8 mixes no types on the way back')
def test_gradients_are_those_of_the_definition():
    """By finite differences, in float64, at one positive, one mined and one easy box of an image."""
    scores, deltas, labels, targets, positive, negative = batch(.1)
    scores, deltas, targets = scores.double(), deltas.double(), targets.double()
    scores.requires_grad_()
    deltas.requires_grad_()

    def total():
        cls, bbox = loss_by_definition(scores, deltas, labels, targets, positive, negative)
        return sum(cls) + sum(bbox)

    sum(loss.sum() for loss in multibox_loss(scores, deltas, labels, targets, positive, negative).values()).backward()
    difficulty = (scores.logsumexp(dim=-1) - scores[..., C])[0].masked_fill(~negative[0], -1.)
    boxes = torch.stack([positive[0].int().argmax(), difficulty.argmax(),
                         difficulty.masked_fill(positive[0], 1e9).argmin()])
    assert scores.grad[0][boxes].abs().sum(dim=1).gt(0).tolist() == [True, True, False]
    for box in boxes:
        for tensor, column in ((scores, 0), (scores, C), (deltas, 2)):
            with torch.no_grad():
                tensor[0, box, column] += 1e-5
                above = total()
                tensor[0, box, column] -= 2e-5
                below = total()
                tensor[0, box, column] += 1e-5
            # loss_cls is computed in float32
            assert tensor.grad[0, box, column].item() == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-6)


def test_half_precision_scores_are_computed_in_float32():
    arguments = batch(.2)
    half = arguments[0].bfloat16(), arguments[1].bfloat16(), *arguments[2:]
    losses = multibox_loss(*half)
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    exact = multibox_loss(half[0].float(), half[1].float(), *arguments[2:])
    assert all(losses[name].equal(exact[name]) for name in exact)


@pytest.mark.parametrize('beta, expected', [(1.0, [0., .125, .5, 1.5]), (.5, [0., .25, .75, 1.75]), (0., [0., .5, 1., 2.])])
def test_the_loss_of_an_offset_is_a_square_below_beta_and_a_line_above(beta, expected):
    """Four images of one positive box, off by 0, 0.5, 1 and 2 in one of its offsets."""
    labels, positive = torch.zeros(4, 1, dtype=torch.int64), torch.ones(4, 1, dtype=torch.bool)
    for sign in (1, -1):
        deltas = torch.zeros(4, 1, 4)
        deltas[:, 0, 2] = sign * torch.tensor([0., .5, 1., 2.])
        losses = multibox_loss(torch.zeros(4, 1, 2), deltas, labels, torch.zeros(4, 1, 4), positive, ~positive, beta=beta)
        assert (losses['loss_bbox'] * 4).tolist() == expected


def test_plain_l1_has_finite_gradients_where_an_offset_is_right_and_none_where_there_is_no_object():
    deltas = torch.tensor([[[0., 2., -2., 0.], [9., 9., 9., 9.]]], requires_grad=True)
    positive = torch.tensor([[True, False]])
    losses = multibox_loss(torch.zeros(1, 2, 2), deltas, (~positive).long(), torch.zeros(1, 2, 4), positive, ~positive, beta=0.)
    losses['loss_bbox'].sum().backward()
    assert deltas.grad.tolist() == [[[0., 1., -1., 0.], [0., 0., 0., 0.]]]


@given(rows=st.lists(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=6, max_size=6), min_size=1, max_size=3),
       data=st.data())
def test_the_hardest_by_rank_sum_up_to_the_top_k_with_and_without_ties(rows, data):
    loss = torch.tensor([[float(value) for value, _ in row] for row in rows])
    negative = torch.tensor([[flag for _, flag in row] for row in rows])
    num_kept = [data.draw(st.integers(0, 8)) for _ in rows]
    expected = [of[mask].topk(min(kept, int(mask.sum()))).values.sum().item()
                for of, mask, kept in zip(loss, negative, num_kept)]
    assert hardest_sum(loss, negative, torch.tensor(num_kept)).tolist() == expected


def test_hardest_sum_of_none_wanted_is_zero_and_of_all_is_all():
    loss, negative = torch.tensor([[3., 1., 2.]]), torch.tensor([[True, True, False]])
    assert [hardest_sum(loss, negative, torch.tensor([k])).item() for k in (0, 1, 2, 5)] == [0., 3., 4., 4.]
