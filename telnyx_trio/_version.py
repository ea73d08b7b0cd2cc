"""The version, read by the build and by ``telnyx_trio.__version__``."""

__version__ = "0.1.0"
