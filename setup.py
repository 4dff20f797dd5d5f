"""Installs the packages mmdet and mmcv_need: pip install -e .

torch is not named: torch_npu and CUDA each fix its version, so it is installed first, and whatever is there stays.
"""
import re
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
version = re.search(r"__version__ = '(.*)'", (root / 'mmdet' / 'version.py').read_text(encoding='utf-8')).group(1)

setup(
    name='ssd-npu',
    version=version,
    description='SSD300 and SSD512 on Ascend NPU, CUDA and CPU, with the configs and checkpoints of MMDetection',
    long_description=(root / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmdet', 'mmdet.*', 'mmcv_need', 'mmcv_need.*']),
    package_data={'mmdet.apis': ['*.html']},
    python_requires='>=3.8',
    install_requires=['numpy', 'orjson', 'pycocotools', 'rich'],  # torch and cv2: see README, "Install"
    extras_require={'cv2': ['opencv-python-headless'], 'fast': ['hotcoco>=1.3,<2'], 'yaml': ['PyYAML'], 'page': ['jinja2'],
                    'plots': ['matplotlib'], 'export': ['onnx', 'onnxruntime', 'onnxscript'],
                    'safetensors': ['safetensors'], 'tensorboard': ['tensorboard'], 'npu': ['torch_npu']},
)
