"""Exported models compute what the network computes, wherever that can go wrong; and a model that does not is refused."""
from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmcv_need import torch_versions
from mmcv_need.errors import ConfigError, UserError
from mmdet.apis import export as exporting
from mmdet.apis.export import DecodingNetwork, Form, check_suppression, export, limit_candidates, usable_exporter
from mmdet.apis.export_check import OnnxModel, candidates_of, check, check_detections, compare
from mmdet.core.post_processing.detections import PICKS, Detections, SSDTestCfg
from mmdet.core.post_processing.nms import GreedyNMS
from mmdet.core.post_processing.soft_nms import SoftNMS
from mmdet.models.dense_heads import BaseDenseHead
from mmdet.models.detectors import SingleStageDetector
from mmdet.models.layers import L2Norm

SIDE = 300


@pytest.fixture(scope='module')
def packages():
    for name in ('onnx', 'onnxruntime', 'onnxscript'):
        pytest.importorskip(name)


@pytest.fixture(scope='module')
def detector(build_detector):
    """SSD300 with a sixteenth of its width. Zero biases, so that black is all zeros up to L2Norm."""
    channels = (32, 64, 32, 16, 16, 16)
    torch.manual_seed(3)
    return build_detector(**{'backbone.width_factor': 0.0625, 'neck.in_channels': channels[:2], 'neck.out_channels': channels,
                             'bbox_head.in_channels': channels, 'bbox_head.num_classes': 5}).eval()


@pytest.fixture(scope='module')
def pictures():
    noise = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 60
    return {'one': noise[0], 'two': noise[1], 'three': noise[2], 'white': torch.full((3, SIDE, SIDE), 140.),
            'zeros': torch.zeros(3, SIDE, SIDE)}


def made(detector, **form):
    form = Form(SIDE, SIDE, **form)
    network = DecodingNetwork(detector, form).eval()
    return export(network, form), network, form


@pytest.mark.usefixtures('packages')
class TestModels:
    @pytest.mark.parametrize('opset, more', [
        (11, {}), (11, {'batch': 2}), (11, {'batch': 2, 'dynamic_batch': True}), (11, {'nms': True, 'batch': 2}), (17, {}),
        (18, {'batch': 2, 'dynamic_batch': True}), (18, {'nms': True}), (20, {})], ids=str)
    def test_every_opset_and_form_gives_the_numbers_of_pytorch(self, detector, pictures, opset, more):
        model, network, form = made(detector, opset=opset, **more)
        worst = check(model, network, form, pictures)
        assert 0 < max(worst) <= 5e-5
        onnx = pytest.importorskip('onnx')
        proto = onnx.load_model_from_string(model)
        assert [(item.domain, item.version) for item in proto.opset_import if not item.domain] == [('', opset)]
        onnx.checker.check_model(proto, full_check=True)

    @pytest.mark.parametrize('opset', [11, 18])
    def test_the_epsilon_of_l2norm_survives(self, detector, opset):
        onnx = pytest.importorskip('onnx')
        proto = onnx.load_model_from_string(made(detector, opset=opset)[0])
        values = [onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer]
        values += [onnx.numpy_helper.to_array(attribute.t) for node in proto.graph.node for attribute in node.attribute
                   if node.op_type == 'Constant' and attribute.name == 'value']
        assert any(value.size == 1 and value.reshape(-1)[0] == np.float32(1e-10) for value in values)

    def test_l2norm_alone_is_equal_to_the_last_bits_and_zero_at_zero(self):
        runtime = pytest.importorskip('onnxruntime')
        layer, x = L2Norm(8), torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(1)).relu()
        x[..., 0, :] = 0
        for exporter in exporting.EXPORTERS:
            options = dict(exporter.options, input_names=['x'], output_names=['y'], opset_version=exporter.opsets[0],
                           verbose=False)
            session = runtime.InferenceSession(exporting.write_onnx(layer, x, options), providers=['CPUExecutionProvider'])
            y, expected = session.run(None, {'x': x.numpy()})[0], layer(x).detach().numpy()
            assert (y[..., 0, :] == 0).all() and np.abs(y - expected).max() <= np.float32(20) * 2.0**-22

    def test_static_models_take_their_batch_only_and_dynamic_ones_any(self, detector):
        static = OnnxModel(made(detector, batch=2)[0], ['scores'])
        dynamic = OnnxModel(made(detector, batch=1, dynamic_batch=True)[0], ['scores'])
        assert static(torch.zeros(2, 3, SIDE, SIDE))[0].shape == (2, 8732, 5)
        with pytest.raises(Exception, match='Got invalid dimensions'):
            static(torch.zeros(3, 3, SIDE, SIDE))
        assert [dynamic(torch.zeros(n, 3, SIDE, SIDE))[0].shape[0] for n in (1, 3)] == [1, 3]

    def test_detections_are_those_of_the_detector(self, detector, pictures):
        model, _, _ = made(detector, nms=True, batch=2)
        img = torch.stack([pictures['one'], pictures['two']])
        dets, labels = OnnxModel(model, ['dets', 'labels'])(img)
        meta = {'img_shape': (SIDE, SIDE, 3), 'scale_factor': np.ones(4, np.float32)}
        with torch.no_grad():
            expected = detector(img, img_metas=[meta, meta], return_loss=False)
        assert dets.shape == (2, 200, 5) and labels.shape == (2, 200)
        for rows, classes, found in zip(dets, labels, expected):
            number = (classes >= 0).sum()
            assert number == len(found.scores) > 10
            assert rows[:number, 4] == pytest.approx(found.scores, abs=1e-5)
            assert (rows[number:] == 0).all() and (classes[number:] == -1).all()

    def test_a_changed_weight_is_noticed(self, detector, pictures):
        onnx = pytest.importorskip('onnx')
        model, network, form = made(detector)
        proto = onnx.load_model_from_string(model)
        weight = next(tensor for tensor in proto.graph.initializer if 'cls_convs.0.0.weight' in tensor.name)
        weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * np.float32(1.01), weight.name))
        with pytest.raises(UserError, match=r'^one: ONNX and PyTorch differ by \S+ in scores .* Nothing was written'):
            check(proto.SerializeToString(), network, form, pictures)

    def test_torchs_own_optimizer_drops_the_epsilon_and_is_found_out(self, detector, pictures, monkeypatch):
        newer = exporting.EXPORTERS[1]
        monkeypatch.setattr(exporting, 'EXPORTERS', (newer._replace(options={**newer.options, 'optimize': True}),))
        model, network, form = made(detector, opset=18)
        with pytest.raises(UserError, match='zeros: outputs of the ONNX model are not all numbers'):
            check(model, network, form, pictures)

    def test_what_torch_cannot_export_is_one_line(self, detector):
        class Odd(torch.nn.Module):
            def forward(self, img):
                return torch.linalg.eigvals(img)
        options = dict(exporting.EXPORTERS[0].options, opset_version=11, verbose=False)
        with pytest.raises(UserError, match=r'--opset-version 11: torch \S+ cannot export this network'):
            exporting.write_onnx(Odd(), torch.zeros(1, 3, 4, 4), options)


def test_a_network_that_diverged_is_told_from_a_bad_export():
    good, bad = [np.zeros((1, 2))] * 2, [np.full((1, 2), np.nan)] * 2
    with pytest.raises(UserError, match=r'outputs of the PyTorch model are not all numbers .* a run that diverged'):
        compare(bad, bad, 300, 'x')
    with pytest.raises(UserError, match=r'outputs of the ONNX model are not all numbers .*nothing was written'):
        compare(bad, good, 300, 'x')


@pytest.mark.parametrize('counts, pick', PICKS.items())
def test_candidates_are_limited_as_the_detector_does(counts, pick):
    scores = torch.rand(2, 30, 4, generator=torch.Generator().manual_seed(2))
    cfg = SSDTestCfg(nms_pre=7, nms_pre_counts=counts)
    limited = limit_candidates(scores, [20, 10], cfg)
    _, flat = pick(scores, [20, 10], 7)
    expected = torch.zeros(2, 120).scatter(1, flat, scores.flatten(1).gather(1, flat)).reshape(2, 30, 4)
    assert torch.equal(limited, expected)
    assert torch.equal(limit_candidates(scores, [20, 10], SSDTestCfg(nms_pre=-1)), scores)


@pytest.mark.parametrize('spoil', [lambda rows, of: (rows[::-1], of[::-1]), lambda rows, of: (rows + np.float32(0.01), of),
                                   lambda rows, of: (rows, np.roll(of, 1)), lambda rows, of: (rows[:-1], of[:-1])])
def test_detections_that_suppression_would_not_leave_are_noticed(spoil):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 200, (40, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 90, (40, 2))], axis=1).astype(np.float32)
    scores = rng.permutation(120).reshape(40, 3).astype(np.float32) / 120
    cfg = SSDTestCfg(nms=GreedyNMS(0.45), max_per_img=20)
    network = SimpleNamespace(detector=SimpleNamespace(test_cfg=cfg), num_level=[40])
    found = candidates_of(scores, boxes, [40], cfg)
    kept, _ = cfg.nms(found.bboxes, found.scores, found.labels, 20)
    left = Detections(found.bboxes[kept], found.scores[kept], found.labels[kept])
    dets, labels = np.column_stack([left.bboxes, left.scores]), left.labels
    check_detections(scores, boxes, dets, labels, network, 'x')
    with pytest.raises(UserError, match='x: detections of the ONNX model are not what is left of its boxes'):
        check_detections(scores, boxes, *spoil(dets, labels), network, 'x')


@pytest.mark.parametrize('cfg, complaint', [
    (dict(nms=SoftNMS()), 'nms is SoftNMS'), (dict(nms=GreedyNMS(0.5, class_agnostic=True)), 'nms has class_agnostic=True'),
    (dict(nms=GreedyNMS(0.5, offset=1)), 'nms has offset=1'), (dict(max_per_img=-1), 'max_per_img keeps all')])
def test_suppression_that_onnx_does_not_have_is_refused(cfg, complaint):
    with pytest.raises(ConfigError, match=f'--with-nms: model.test_cfg: {complaint}'):
        check_suppression(SSDTestCfg(**cfg))


@pytest.mark.parametrize('version, opset, complaint', [
    ((1, 8), 11, 'export to ONNX up to opset 17 needs torch 2.5 or newer, and this is .* export elsewhere'),
    ((2, 5), 18, 'export to ONNX from opset 18 on needs torch 2.6 or newer'),
    ((2, 13), 21, '--opset-version 21: expected 11 to 20')])
def test_a_torch_without_the_exporter_is_refused(monkeypatch, version, opset, complaint):
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', version)
    with pytest.raises(UserError, match=complaint):
        usable_exporter(opset)


class FindsByItself(SingleStageDetector):
    def simple_test(self, img, img_metas, rescale=False):
        return []


class HeadOfLists(BaseDenseHead):
    def forward(self, levels):
        return levels


@pytest.mark.parametrize('make', [
    FindsByItself, lambda backbone, neck, head: SingleStageDetector(backbone, neck, HeadOfLists())])
def test_what_finds_boxes_by_code_of_its_own_is_refused(detector, make):
    with pytest.raises(ConfigError, match='finds its boxes by code of its own cannot be exported'):
        DecodingNetwork(make(detector.backbone, detector.neck, detector.bbox_head), Form(SIDE, SIDE))


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(exporting.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match='export needs onnx, onnxscript: pip install onnx onnxruntime onnxscript'):
        usable_exporter(18)
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(UserError, match='export needs onnx and onnxruntime'):
        OnnxModel(b'', ['scores'])
