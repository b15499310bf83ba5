"""checkpoint -> bundle, and reading a bundle.

Reading needs neither torch nor Lava; compiling (`hybrid_cvar.compiler.compile`) needs the `compile` extra.
"""

from hybrid_cvar.compiler.bundle import Bundle, load_bundle

__all__ = ["Bundle", "load_bundle"]
