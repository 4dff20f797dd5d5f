"""`as_mmcv()`: the name mmcv for what of MMCV 1.x exists here, for code that imports it. Nothing happens unless it is called.

    import mmcv_need
    mmcv_need.as_mmcv()
    from mmcv.cnn import ConvModule
"""
from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any, Dict, NoReturn, Sequence

from mmcv_need.errors import UserError, did_you_mean

ROOT = 'mmcv'
VERSION = '1.7.2'  # whose names and behaviour these are
_HOOKS = 'Hook HOOKS CheckpointHook EMAHook IterTimerHook LoggerHook LrUpdaterHook TensorboardLoggerHook TextLoggerHook'
_CONFIG = {'mmcv_need.config': 'Config ConfigDict DictAction'}
# Module of MMCV -> our module (or torch's) -> names that are the same there.
NAMES: Dict[str, Dict[str, str]] = {
    '': _CONFIG,
    'cnn': {
        'mmdet.models.conv_module': 'ConvModule DepthwiseSeparableConvModule build_conv_layer',
        'mmdet.models.norms': 'build_norm_layer', 'mmdet.models.activations': 'build_activation_layer',
        'mmdet.models.builder': 'ACTIVATION_LAYERS CONV_LAYERS NORM_LAYERS',
        'mmdet.models.layer_inits': 'bias_init_with_prob caffe2_xavier_init constant_init kaiming_init normal_init '
                                    'trunc_normal_init uniform_init xavier_init',
        'torch.nn': 'Conv2d ConvTranspose2d Linear MaxPool2d'},
    'runner': {
        'mmcv_need.hooks': f'{_HOOKS} DistSamplerSeedHook EvalHook', 'mmcv_need.mmcv_calls': 'build_optimizer load_checkpoint',
        'mmdet.models.base_module': 'BaseModule ModuleList Sequential', 'mmcv_need.float32_marks': 'auto_fp16 force_fp32',
        'mmcv_need.dist_utils': 'get_dist_info init_dist', 'mmcv_need.epoch_based_runner': 'EpochBasedRunner RUNNERS',
        'mmcv_need.builder': 'OPTIMIZERS', 'mmcv_need.priority': 'Priority get_priority',
        'mmcv_need.log_buffer': 'LogBuffer'},
    'runner.hooks': {'mmcv_need.hooks': _HOOKS},
    'utils': {**_CONFIG, 'mmcv_need.registry': 'Registry build_from_cfg', 'torch.nn.modules.batchnorm': '_BatchNorm'},
}
# What to use in place of some that do not exist here.
INSTEAD = {
    'imread': 'cv2.imread', 'imwrite': 'cv2.imwrite', 'imresize': 'cv2.resize', 'imflip': 'cv2.flip',
    'load': 'json.load, or what reads your file', 'dump': 'json.dump', 'mkdir_or_exist': 'os.makedirs(path, exist_ok=True)',
    'list_from_file': 'open(path).read().splitlines()', 'is_str': 'isinstance(value, str)',
    'is_list_of': 'isinstance, item by item', 'print_log': 'logging, or runner.logger', 'get_logger': 'logging.getLogger',
    'DataContainer': 'plain arrays and values: mmdet/datasets/loader/collate.py makes batches of them',
    'OptimizerHook': 'optimizer_config = dict(grad_clip=...): the step is in the runner itself',
    'Fp16OptimizerHook': "precision = 'fp16'", 'wrap_fp16_model': "precision = 'fp16'",
    'save_checkpoint': 'mmcv_need.checkpoint.save_checkpoint, which has other arguments',
    'set_random_seed': 'mmcv_need.random_state.seed_everything', 'ops': 'mmdet.core: nms and boxes, without compiled operators',
    'import_modules_from_strings': 'custom_imports in the config',
}


class Alias(ModuleType):
    """A module of that name, whose names are looked up when they are asked for."""

    def __init__(self, name: str):
        super().__init__(name, 'Names of MMCV 1.x that exist in this toolkit; see mmcv_need/mmcv_alias.py.')
        own = NAMES[name[len(ROOT) + 1:]]
        self.__dict__['__homes__'] = {each: home for home, names in own.items() for each in names.split()}
        self.__path__: Sequence[str] = []  # a package, if without a folder
        self.__file__ = __file__
        self.__version__ = VERSION

    def __getattr__(self, name: str) -> Any:
        homes = self.__dict__['__homes__']
        if name in homes:
            value = getattr(importlib.import_module(homes[name]), name)
            setattr(self, name, value)
            return value
        if name.startswith('__'):
            raise AttributeError(name)
        refuse(self.__name__, name, homes)

    def __dir__(self) -> Sequence[str]:
        return sorted({*super().__dir__(), *self.__dict__['__homes__']})


class Submodules:
    """Finds no further module of MMCV, and says so, where Python would say that there is none of that name."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name.startswith(f'{ROOT}.') and isinstance(sys.modules.get(ROOT), Alias):
            parent, _, last = name.rpartition('.')
            refuse(parent, last, [key for key in NAMES if '.' not in key])


def refuse(module: str, name: str, known: Any) -> NoReturn:
    """Raise the error of a name that does not exist here.

    Raises:
        ImportError: always; also where it was asked for as an attribute, since `from ... import` shows no other message.
    """
    instead = f' Use {INSTEAD[name]}.' if name in INSTEAD else did_you_mean(name, [key for key in known if key])
    raise ImportError(f"{module}.{name}: what as_mmcv() stands in for mmcv does not have this name.{instead} The names that it "
                      f'has are listed in mmcv_need/mmcv_alias.py', name=f'{module}.{name}')


def as_mmcv() -> None:
    """From now on `import mmcv` in this process gives what of MMCV 1.x exists here. An installed MMCV is not reached then.

    Raises:
        UserError: the real one is imported already.
    """
    there = sys.modules.get(ROOT)
    if isinstance(there, Alias):
        return
    if there is not None:
        raise UserError(f"as_mmcv(): mmcv is imported already, from {getattr(there, '__file__', 'somewhere')}; call as_mmcv() "
                        f'before anything imports it, or uninstall mmcv')
    for key in NAMES:
        name = f'{ROOT}.{key}'.rstrip('.')
        sys.modules[name] = Alias(name)
        parent, _, last = name.rpartition('.')
        if parent:
            setattr(sys.modules[parent], last, sys.modules[name])
    sys.meta_path.insert(0, Submodules)
