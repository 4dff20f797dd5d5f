"""Version: the MMDetection whose configs and checkpoints are spoken, then this toolkit's own."""
__version__ = '2.28.2+ssd.0.1.0'
