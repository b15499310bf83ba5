"""Makes the archived Lava releases importable on today's Python and torch.

lava-nc 0.10.0 and lava-dl 0.6.0 are the last releases. Three things keep them from importing, one from computing:

* `lava.magma.compiler.var_model` has a dataclass default that Python 3.11 and later call mutable,
  because its class defines equality without a hash. Importing that one module while `dataclass`
  adds a hash cures it.
* `lava.lib.dl.slayer` imports torchvision, which only its object-detection part uses. Where
  torchvision is absent, an empty module stands in for it.

* `lava.magma.runtime` makes `fork` the start method of processes when it is imported, and fails where the program has
  settled one before, be it by a mere look. It is made to insist.
* Stock `Conv` holds its strides and paddings in 8 bits, and NumPy 2 no longer lets sums with them grow beyond: inputs
  wider or higher than 127 fail. `widen_stock_conv()` gives them 32 bits.

Call `prepare_lava()` (or `prepare_slayer()`) before the first import of anything under `lava`.
"""

import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import io
import multiprocessing
import sys
import types

from hybrid_cvar.errors import MissingPartError

__all__ = [
    "INSTALL_COMPILE",
    "INSTALL_LAVA",
    "INSTALL_TRAIN",
    "prepare_lava",
    "prepare_slayer",
    "prepare_training",
    "widen_stock_conv",
]

# pip cannot see past the archived packages' upper bounds, so it installs them without resolving.
_ARCHIVED = "pip install --no-deps --ignore-requires-python"
INSTALL_LAVA = f"pip install asteval networkx scikit-learn scipy && {_ARCHIVED} lava-nc==0.10.0"
INSTALL_COMPILE = (
    "pip install asteval networkx scikit-learn scipy torch onnx onnxscript pillow matplotlib ninja "
    f"opencv-python-headless && {_ARCHIVED} lava-nc==0.10.0 lava-dl==0.6.0"
)

INSTALL_TRAIN = "pip install hdf5plugin lightning-fabric matplotlib scikit-learn tensorboard"
"""What training and its measuring need beyond `INSTALL_COMPILE`."""

_TORCHVISION_STUBS = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.ops")


def prepare_training() -> None:
    """As `prepare_slayer`, and sees that all that training needs is there.

    Raises:
        MissingPartError: names the first package that is not installed.
    """
    prepare_slayer()
    for module in ("lightning_fabric", "tensorboard", "hdf5plugin", "sklearn", "matplotlib"):
        if importlib.util.find_spec(module) is None:
            raise MissingPartError(f"{module} is not installed", "training needs it", f"install it: {INSTALL_TRAIN}")


def prepare_lava() -> None:
    """Makes `lava.magma` and `lava.proc` importable.

    Raises:
        MissingPartError: lava-nc is not installed.
    """
    if importlib.util.find_spec("lava") is None or importlib.util.find_spec("lava.magma") is None:
        raise MissingPartError(
            "lava-nc is not installed",
            "the Lava engine needs it",
            f"use --engine native, or install it: {INSTALL_LAVA}",
        )
    dataclass, set_start_method = dataclasses.dataclass, multiprocessing.set_start_method
    dataclasses.dataclass = functools.partial(dataclass, unsafe_hash=True)
    multiprocessing.set_start_method = functools.partial(set_start_method, force=True)
    try:
        importlib.import_module("lava.magma.compiler.var_model")
        importlib.import_module("lava.magma.runtime.message_infrastructure.multiprocessing")
    finally:
        dataclasses.dataclass, multiprocessing.set_start_method = dataclass, set_start_method


def widen_stock_conv() -> None:
    """Lets stock `lava.proc.conv.Conv` take inputs wider than 127 under NumPy 2; `prepare_lava` comes first."""
    import numpy as np
    from lava.magma.core.model.py.type import LavaPyType
    from lava.proc.conv.models import AbstractPyConvModel

    for name in ("kernel_size", "stride", "padding", "dilation"):
        setattr(AbstractPyConvModel, name, LavaPyType(np.ndarray, np.int32, precision=8))


def prepare_slayer() -> None:
    """Makes `lava.lib.dl.slayer` importable.

    Raises:
        MissingPartError: lava-nc, lava-dl or torch is not installed.
    """
    for module, package in (("torch", "torch"), ("lava.lib.dl", "lava-dl")):
        if not _is_installed(module):
            raise MissingPartError(
                f"{package} is not installed",
                "compile and train need it",
                f"install it: {INSTALL_COMPILE}",
            )
    if "lava.lib.dl.slayer" in sys.modules:
        return
    prepare_lava()
    stubs = () if _is_installed("torchvision") else _TORCHVISION_STUBS
    sys.modules.update({name: types.ModuleType(name) for name in stubs})
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the import prints a notice about an unrelated demo
            importlib.import_module("lava.lib.dl.slayer")
    finally:
        for name in stubs:  # others look torchvision up and must find that it is absent
            del sys.modules[name]


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
