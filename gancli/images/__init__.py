"""The one place where Pillow opens a file: any image people have, upright, sRGB and 8 bits, or a short reason why not.

Nothing from outside is trusted: the format is told by content, only a few decoders are tried, pixels and bytes are
bounded before anything is decoded, and whatever a decoder raises becomes an `ImageError`.
"""

from gancli.images.colour import has_alpha, is_grey, to_array
from gancli.images.fitting import Fit, fit_image
from gancli.images.formats import IMAGE_SUFFIXES, list_images, sniff
from gancli.images.reading import MAX_PIXELS, ImageError, Picture, measure_image, read_bytes, read_image, read_picture
from gancli.images.writing import encode_png, write_png

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "Fit",
    "ImageError",
    "Picture",
    "encode_png",
    "fit_image",
    "has_alpha",
    "is_grey",
    "list_images",
    "measure_image",
    "read_bytes",
    "read_image",
    "read_picture",
    "sniff",
    "to_array",
    "write_png",
]
