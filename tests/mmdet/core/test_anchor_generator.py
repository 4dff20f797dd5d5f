"""SSD's default boxes: the sizes, the order and the numbers that were published."""
from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmdet.core.anchor.anchor_generator import Anchors, SSDAnchorGenerator
from mmdet.core.bbox.iou import box_area

CPU = torch.device('cpu')
LEVELS = {
    300: {'strides': [8, 16, 32, 64, 100, 300], 'ratios': [[2], [2, 3], [2, 3], [2, 3], [2], [2]]},
    512: {'strides': [8, 16, 32, 64, 128, 256, 512], 'ratios': [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]]},
}
SIDES = {300: [38, 19, 10, 5, 3, 1], 512: [64, 32, 16, 8, 4, 2, 1]}
PUBLISHED = {  # (input size, first ratio): smallest sides, largest sides, sums of x1, y1, x2, y2 over all boxes
    (300, 0.15): ([21, 45, 99, 153, 207, 261], [45, 99, 153, 207, 261, 315],
                  [1157354.2958, 1157354.2972, 1509013.7008, 1509013.7004]),
    (300, 0.2): ([30, 60, 111, 162, 213, 264], [60, 111, 162, 213, 264, 315],
                 [1106619.6241, 1106619.6250, 1559748.3692, 1559748.3686]),
    (512, 0.1): ([20, 51, 133, 215, 296, 378, 460], [51, 133, 215, 296, 378, 460, 542],
                 [5731921.3583, 5731921.3635, 6844846.6503, 6844846.6450]),
    (512, 0.15): ([35, 76, 153, 230, 307, 384, 460], [76, 153, 230, 307, 384, 460, 537],
                  [5493362.0600, 5493362.0643, 7083405.9403, 7083405.9385]),
}
BASE_BOXES = {  # (input size, level) of the COCO settings
    (300, 0): [[-6.5, -6.5, 14.5, 14.5], [-11.370426, -11.370426, 19.370426, 19.370426],
               [-10.849242, -3.424621, 18.849243, 11.424622], [-3.424621, -10.849242, 11.424622, 18.849243]],
    (300, 1): [[-14.5, -14.5, 30.5, 30.5], [-25.372890, -25.372890, 41.372890, 41.372890],
               [-23.819805, -7.909903, 39.819805, 23.909903], [-7.909903, -23.819805, 23.909903, 39.819805],
               [-30.971146, -4.990381, 46.971146, 20.990381], [-4.990381, -30.971142, 20.990381, 46.971142]],
    (300, 5): [[19.5, 19.5, 280.5, 280.5], [6.634201, 6.634201, 293.365784, 293.365784],
               [-34.554871, 57.722565, 334.554871, 242.277435], [57.722565, -34.554871, 242.277435, 334.554871]],
    (512, 0): [[-6, -6, 14, 14], [-11.968719, -11.968719, 19.968719, 19.968719],
               [-10.142136, -3.071068, 18.142136, 11.071068], [-3.071068, -10.142136, 11.071068, 18.142136]],
    (512, 6): [[26, 26, 486, 486], [6.340240, 6.340240, 505.659760, 505.659760],
               [-69.269104, 93.365448, 581.269104, 418.634552], [93.365448, -69.269104, 418.634552, 581.269104]],
}


def generator(size, first_ratio, **options):
    return SSDAnchorGenerator(input_size=size, basesize_ratio_range=(first_ratio, 0.9), **{**LEVELS[size], **options})


def all_boxes(made, size):
    return made.grid_anchors([(side, side) for side in SIDES[size]], CPU)


@pytest.mark.parametrize('size, first_ratio', PUBLISHED)
def test_sizes_are_the_published_ones(size, first_ratio):
    made = generator(size, first_ratio)
    assert (made.min_sizes, made.max_sizes) == PUBLISHED[size, first_ratio][:2]


@pytest.mark.parametrize('size, first_ratio', PUBLISHED)
def test_all_boxes_add_up_to_the_published_sums(size, first_ratio):
    boxes = all_boxes(generator(size, first_ratio), size).boxes
    assert boxes.dtype == torch.float32
    assert boxes.double().sum(dim=0).tolist() == pytest.approx(PUBLISHED[size, first_ratio][2], abs=1e-3)


@pytest.mark.parametrize('size, first_ratio, base, levels, total', [
    (300, 0.15, [4, 6, 6, 6, 4, 4], (5776, 2166, 600, 150, 36, 4), 8732),
    (512, 0.1, [4, 6, 6, 6, 6, 4, 4], (16384, 6144, 1536, 384, 96, 16, 4), 24564)])
def test_there_are_as_many_boxes_as_in_the_paper(size, first_ratio, base, levels, total):
    made = generator(size, first_ratio)
    anchors = all_boxes(made, size)
    assert (made.num_base_anchors, anchors.num_level, len(anchors.boxes)) == (base, levels, total)


@pytest.mark.parametrize('size, level', BASE_BOXES)
def test_boxes_of_the_first_cell_are_the_published_ones(size, level):
    made = generator(size, {300: 0.15, 512: 0.1}[size])
    torch.testing.assert_close(made.base_anchors[level], torch.tensor(BASE_BOXES[size, level]), rtol=0, atol=2e-5)


def test_boxes_are_ordered_by_level_then_row_then_column_then_base_box():
    made = SSDAnchorGenerator(strides=[10, 40], ratios=[[2], [2]], min_sizes=[4, 8], max_sizes=[6, 12])
    anchors = made.grid_anchors([(2, 3), (1, 1)], CPU)
    centres = (anchors.boxes[:, :2] + anchors.boxes[:, 2:]) / 2
    expected = [[x, y] for y in (5., 15.) for x in (5., 15., 25.) for _ in range(4)] + [[20., 20.]] * 4
    assert centres.tolist() == expected
    first_of_each_cell = anchors.boxes[:24:4]
    assert (first_of_each_cell[:, 2:] - first_of_each_cell[:, :2]).tolist() == [[4., 4.]] * 6


def test_a_stride_may_differ_by_axis_and_centres_follow_strides_not_map_sizes():
    made = SSDAnchorGenerator(strides=[(10, 20)], ratios=[[2]], min_sizes=[4], max_sizes=[6])
    anchors = made.grid_anchors([(2, 2)], CPU)
    centres = (anchors.boxes[::4, :2] + anchors.boxes[::4, 2:]) / 2
    assert centres.tolist() == [[5., 10.], [15., 10.], [5., 30.], [15., 30.]]


def test_sizes_in_pixels_replace_the_ratios():
    made = generator(300, 0.15, min_sizes=[20, 40, 60, 80, 100, 120], max_sizes=[40, 60, 80, 100, 120, 140])
    assert made.min_sizes == [20, 40, 60, 80, 100, 120]
    assert (made.base_anchors[0][0, 2:] - made.base_anchors[0][0, :2]).tolist() == [20., 20.]
    assert (made.base_anchors[0][1, 2:] - made.base_anchors[0][1, :2]).tolist() == pytest.approx([800 ** 0.5] * 2)


def test_a_longest_side_shortens_what_is_longer_about_its_centre():
    free, limited = (generator(300, 0.15, **options).base_anchors[-1] for options in ({}, {'max_side': 300}))
    sides = (free[:, 2:] - free[:, :2]).clamp(max=300)
    torch.testing.assert_close(limited[:, 2:] - limited[:, :2], sides, rtol=0, atol=1e-4)
    torch.testing.assert_close(limited[:, 2:] + limited[:, :2], free[:, 2:] + free[:, :2], rtol=0, atol=1e-4)
    assert (free[:, 2:] - free[:, :2]).max() > 369


@pytest.mark.parametrize('size, first_ratio', PUBLISHED)
def test_areas_and_extents_are_those_of_the_boxes(size, first_ratio):
    anchors = all_boxes(generator(size, first_ratio), size)
    starts, ends = anchors.starts.flatten(), anchors.ends.flatten()
    by_extent = [starts[anchors.x_index], starts[anchors.y_index], ends[anchors.x_index], ends[anchors.y_index]]
    assert torch.stack(by_extent, dim=1).equal(anchors.boxes)
    assert anchors.areas.equal(box_area(anchors.boxes))


def test_each_extent_is_listed_once():
    anchors = all_boxes(generator(300, 0.15), 300)
    for column, index in ((0, anchors.x_index), (1, anchors.y_index)):
        distinct = {tuple(box[column::2]) for box in anchors.boxes.tolist()}
        assert len(index.unique()) == len(distinct) < 1000


def test_rows_and_columns_may_have_extents_of_different_number():
    made = SSDAnchorGenerator(strides=[10], ratios=[[2]], min_sizes=[4], max_sizes=[6])
    anchors = made.grid_anchors([(2, 5)], CPU)
    starts = anchors.starts.flatten()
    assert starts[anchors.x_index].equal(anchors.boxes[:, 0]) and starts[anchors.y_index].equal(anchors.boxes[:, 1])


def test_boxes_are_made_once_for_the_same_maps():
    made = generator(300, 0.15)
    assert all_boxes(made, 300) is all_boxes(made, 300)
    assert made.grid_anchors([(1, 1)] * 6, CPU).num_level == (4, 6, 6, 6, 4, 4)


def valid_by_cells(made, maps, pad_shape):
    """MMDetection's rule, map by map: of each axis the first ceil(pad shape / stride) cells, as far as there are any."""
    flags = []
    for (rows, columns), (stride_x, stride_y), num_base in zip(maps, made.strides, made.num_base_anchors):
        valid_rows = min(math.ceil(pad_shape[0] / stride_y), rows)
        valid_columns = min(math.ceil(pad_shape[1] / stride_x), columns)
        flags += [row < valid_rows and column < valid_columns
                  for row in range(rows) for column in range(columns) for _ in range(num_base)]
    return flags


@given(shapes=st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70)), min_size=1, max_size=3))
def test_boxes_are_valid_whose_cell_begins_inside_the_picture(shapes):
    made = SSDAnchorGenerator(strides=[(10, 20), 30], ratios=[[2], [2, 3]], min_sizes=[4, 8], max_sizes=[6, 12])
    maps = [(3, 6), (2, 2)]
    anchors, expected = made.grid_anchors(maps, CPU), [valid_by_cells(made, maps, shape) for shape in shapes]
    valid = anchors.valid_in([(*shape, 3) for shape in shapes])
    if valid is None:
        assert all(map(all, expected))
    else:
        assert valid.tolist() == expected and not all(map(all, expected))


def test_nothing_is_computed_where_all_boxes_are_valid():
    """The last cells of SSD300 begin at 296 pixels, those of SSD512 at 504."""
    for size, first_ratio, last in ((300, 0.15, 296), (512, 0.1, 504)):
        anchors = all_boxes(generator(size, first_ratio), size)
        assert anchors.reach == (last, last) and anchors.origins.max() == last
        assert anchors.valid_in([]) is anchors.valid_in([(size, size)]) is anchors.valid_in([(last + 1, size)]) is None
        assert not anchors.valid_in([(size, size), (size, last)])[1].all()


def test_boxes_without_origins_are_valid_in_every_picture():
    assert Anchors.from_boxes(torch.tensor([[90., 90., 99., 99.]]), [1]).valid_in([(1, 1)]) is None


def test_boxes_move_to_a_device_with_all_their_parts(device):
    anchors = Anchors.from_boxes(torch.tensor([[0., 0., 1., 1.]]), [1]).to(device)
    assert {part.device.type for part in anchors[:-2]} == {device.type}
    assert anchors.num_level == (1,) and anchors.reach == (0., 0.)


@pytest.mark.parametrize('size, first_ratio', [(300, 0.1), (300, 0.3), (512, 0.2), (320, 0.15), (0, 0.2)])
def test_sizes_that_were_never_published_are_refused_and_the_known_ones_named(size, first_ratio):
    with pytest.raises(ConfigError) as error:
        SSDAnchorGenerator(input_size=size, basesize_ratio_range=(first_ratio, 0.9), **LEVELS[300])
    for word in (str(size), str(first_ratio), '0.15 for 300', '0.2 for 300', '0.1 for 512', '0.15 for 512', 'min_sizes'):
        assert word in str(error.value)


@pytest.mark.parametrize('options, word', [
    ({'ratios': [[2]]}, 'strides has 6 levels and ratios has 1'),
    ({'min_sizes': [20] * 6}, 'both min_sizes and max_sizes'),
    ({'max_sizes': [20] * 6}, 'both min_sizes and max_sizes'),
    ({'min_sizes': [20] * 5, 'max_sizes': [30] * 5}, 'min_sizes has 5 levels'),
    ({'max_side': 0}, 'max_side 0: expected more'),
    ({'scale_major': True}, 'scale_major')])
def test_arguments_that_do_not_fit_together_are_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        generator(300, 0.15, **options)


def test_maps_of_another_number_of_levels_are_refused():
    with pytest.raises(ConfigError, match='2 feature maps for 6 levels'):
        generator(300, 0.15).grid_anchors([(1, 1), (1, 1)], CPU)
