"""One spelling of a config, whatever MMDetection's versions, MMCV, apex and command lines call it."""
from mmdet.apis.dialects.canonical import POLICIES, canonical, with_policy_hook
from mmdet.apis.dialects.precision import override_precision

__all__ = ['POLICIES', 'canonical', 'override_precision', 'with_policy_hook']
