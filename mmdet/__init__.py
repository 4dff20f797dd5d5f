"""The detection part. Whatever of it is imported first, this comes before."""
import os

# Read when OpenCV is imported. A file of a few kilobytes can stand for a picture of gigabytes; this is 100 million pixels.
os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(100 * 10 ** 6))
