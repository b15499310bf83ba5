"""Videos of articulated figures that do one of 16 actions, drawn and encoded as UCF-101 is laid out.

seed -> person, action (pose -> joints -> parts), backdrop, camera -> scene -> frames -> MPEG-4 -> video set
"""

from hybrid_cvar.puppets.actions import ACTIONS, REVERSED_PAIRS
from hybrid_cvar.puppets.making import PuppetSummary, make_puppets
from hybrid_cvar.puppets.person import Person
from hybrid_cvar.puppets.scene import draw_puppet
from hybrid_cvar.puppets.video_set import PuppetOptions

__all__ = [
    "ACTIONS",
    "REVERSED_PAIRS",
    "Person",
    "PuppetOptions",
    "PuppetSummary",
    "draw_puppet",
    "make_puppets",
]
