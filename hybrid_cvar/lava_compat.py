"""Makes the archived Lava releases importable on today's Python and torch.

lava-nc 0.10.0 and lava-dl 0.6.0 are the last releases. Two things keep them from importing:

* `lava.magma.compiler.var_model` has a dataclass default that Python 3.11 and later call mutable,
  because its class defines equality without a hash. Importing that one module while `dataclass`
  adds a hash cures it.
* `lava.lib.dl.slayer` imports torchvision, which only its object-detection part uses. Where
  torchvision is absent, an empty module stands in for it.

Call `prepare_lava()` (or `prepare_slayer()`) before the first import of anything under `lava`.
"""

import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import io
import sys
import types

from hybrid_cvar.errors import MissingPartError

__all__ = ["INSTALL_COMPILE", "INSTALL_LAVA", "INSTALL_WITH_PIP", "prepare_lava", "prepare_slayer"]

# uv sees past the archived packages' upper bounds through [tool.uv] of the checkout it runs in.
INSTALL_LAVA = "uv pip install '.[lava]'"
INSTALL_COMPILE = "uv pip install --torch-backend cpu '.[lava,compile]'"
INSTALL_WITH_PIP = (
    "pip install asteval networkx pillow scikit-learn scipy torch onnx onnxscript matplotlib ninja "
    "opencv-python-headless && pip install --no-deps --ignore-requires-python lava-nc==0.10.0 lava-dl==0.6.0"
)

_TORCHVISION_STUBS = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.ops")


def prepare_lava() -> None:
    """Makes `lava.magma` and `lava.proc` importable.

    Raises:
        MissingPartError: lava-nc is not installed.
    """
    if importlib.util.find_spec("lava") is None or importlib.util.find_spec("lava.magma") is None:
        raise MissingPartError(
            "lava-nc is not installed", "the Lava engine needs it", f"install it, in a checkout: {INSTALL_LAVA}"
        )
    plain = dataclasses.dataclass
    dataclasses.dataclass = functools.partial(plain, unsafe_hash=True)
    try:
        importlib.import_module("lava.magma.compiler.var_model")
    finally:
        dataclasses.dataclass = plain


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
                f"install it, in a checkout: {INSTALL_COMPILE}",
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
