"""Questions about the chip: by its number before 2.1."""
import os

from torch_npu import VERSION, settings

if VERSION >= (2, 1):
    def is_support_inf_nan():
        if settings['chip'] == 'Ascend910A':
            return False
        if os.environ.get('INF_NAN_MODE_ENABLE') == '0' and os.environ.get('INF_NAN_MODE_FORCE_DISABLE') != '1':
            raise RuntimeError("INF_NAN_MODE_ENABLE shouldn't be set to 0 on the current device\n[ERROR] (PID:1)")
        return os.environ.get('INF_NAN_MODE_FORCE_DISABLE') != '1'
else:
    def get_soc_version():
        return {'Ascend910A': 102, 'Ascend910B1': 220}[settings['chip']]
