"""Export a detector to ONNX, and check it: python tools/deployment/pytorch2onnx.py configs/ssd300_coco.py latest.pth

The file is written only once onnxruntime has found in it what PyTorch finds.
"""
from __future__ import annotations

import argparse
import os
import shlex
import sys
from typing import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

from mmcv_need.config import Config
from mmcv_need.errors import UserError
from mmcv_need.serialization.atomic_files import written_atomically
from mmdet.apis.checks import require
from mmdet.apis.command_line import add_config_options, read_config
from mmdet.apis.endings import run
from mmdet.apis.export import INPUT, OPSETS, DecodingNetwork, Form, export, require_packages, usable_exporter
from mmdet.apis.export_check import TOLERANCE, check, shapes_in_words
from mmdet.apis.export_pictures import files_of, input_size, inputs
from mmdet.apis.inference import load_detector
from mmdet.apis.results import prepare_file


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Export a detector to ONNX, and check it with onnxruntime')
    parser.add_argument('config', help='such as configs/ssd300_coco.py')
    parser.add_argument('checkpoint', help='the weights')
    parser.add_argument('--output-file', default='tmp.onnx', metavar='FILE', help='tmp.onnx by default')
    parser.add_argument('--opset-version', type=int, default=11, choices=OPSETS, metavar='N',
                        help=f'{OPSETS[0]} to {OPSETS[-1]}; 11, which every ATC reads, by default')
    parser.add_argument('--shape', type=int, nargs='+', metavar='SIDE',
                        help="of the input: one side, or height and width; that of the config's test pictures by default")
    parser.add_argument('--batch', type=int, default=1, metavar='N', help='pictures that the model takes at a time')
    parser.add_argument('--dynamic-batch', action='store_true', help='let the model take any number of them')
    parser.add_argument('--with-nms', action='store_true', help="end with the config's suppression; not for ATC")
    parser.add_argument('--input-img', '--test-img', nargs='+', default=[], metavar='FILE',
                        help="pictures to check with; some of the config's test data by default")
    parser.add_argument('--pictures', type=int, default=4, metavar='N', help='of the test data, to check with')
    parser.add_argument('--verify', action='store_true', default=True, help='check the model, as is done by default')
    parser.add_argument('--no-verify', dest='verify', action='store_false', help='write it unchecked')
    parser.add_argument('--soc-version', metavar='NAME', help="for the line that calls ATC, such as Ascend310P3")
    parser.add_argument('--skip-postprocess', action='store_true', help="MMDetection's; has no effect without --with-nms")
    parser.add_argument('--mean', nargs=3, help="MMDetection's; has no effect: the config says it")
    parser.add_argument('--std', nargs=3, help="MMDetection's; has no effect: the config says it")
    add_config_options(parser)
    args = parser.parse_args(arguments)
    if args.batch < 1 or args.pictures < 0:
        parser.error(f'--batch {args.batch} --pictures {args.pictures}: expected a batch of 1 or more, and 0 pictures or more')
    if args.skip_postprocess and args.with_nms:
        parser.error('--skip-postprocess and --with-nms: expected one of them')
    return args


def main(arguments: Sequence[str]) -> None:
    args = parse(arguments)
    usable_exporter(args.opset_version)
    require_packages(*(('onnx', 'onnxruntime') if args.verify else ()))
    prepare_file(args.output_file, '--output-file')
    cfg = read_config(args)
    require(cfg, 'model.backbone', 'data.test')
    form = Form(*input_size(cfg, args.shape), args.batch, args.dynamic_batch, args.opset_version, args.with_nms)
    network = DecodingNetwork(load_detector(cfg, args.checkpoint)[0].eval(), form).eval()
    model = export(network, form)
    words = ''
    if args.verify:
        files, where = files_to_check(args, cfg)
        worst = check(model, network, form, inputs(cfg, (form.height, form.width), files))
        words = (f'checked on {len(files)} pictures{where}, random, black and white ones, and zeros: ONNX and PyTorch differ '
                 f'by at most {worst.scores:.1e} in scores and {worst.boxes:.1e} of the side in boxes (allowed: {TOLERANCE:g})')
    with written_atomically(args.output_file) as file:
        file.write(model)
    given, made = shapes_in_words(network, form)
    print(f'{args.output_file}: opset {form.opset}, {given} -> {made}')
    print(words or 'not checked (--no-verify)')
    if not form.nms:
        print(f'for Ascend: {atc_line(args.output_file, form, args.soc_version)}')


def files_to_check(args: argparse.Namespace, cfg: Config) -> tuple[list[str], str]:
    """Pictures, and where they are from, in words."""
    if args.input_img or not args.pictures:
        return args.input_img, ' of --input-img' if args.input_img else ''
    try:
        return files_of(cfg, args.pictures), ' of data.test'
    except UserError as error:
        print(f'no real pictures to check with (--input-img names some): {error}', file=sys.stderr)
        return [], ''


def atc_line(path: str, form: Form, soc_version: str | None) -> str:
    """The command that makes an .om of the model.

    By default ATC computes in float16 wherever it can, where the squares that L2Norm adds are too large, and its 1e-10 is 0;
    `allow_fp32_to_fp16` leaves to float32 what the card can compute in it.
    """
    shape = f'{INPUT}:{-1 if form.dynamic_batch else form.batch},3,{form.height},{form.width}'
    batches = ' --dynamic_batch_size="1,2,4,8"' if form.dynamic_batch else ''
    return (f'atc --framework=5 --model={shlex.quote(path)} --output={shlex.quote(os.path.splitext(path)[0])} '
            f'--input_format=NCHW --input_shape="{shape}"{batches} --precision_mode=allow_fp32_to_fp16 '
            f'--soc_version={soc_version or "SOC_VERSION"}')


if __name__ == '__main__':
    run(main)
