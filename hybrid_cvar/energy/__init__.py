"""Energy models: a trace's operation counts times sourced constants.

    Trace + EnergyProfile -> EnergyEstimate, ChipLatency

A profile is a TOML file in `profiles/`; every constant in it names its conditions and its source, and every
profile names what it leaves out. `paper_tables` holds what the paper prints, and what its own numbers give.
"""

from hybrid_cvar.energy.chip_latency import model_chip_latency
from hybrid_cvar.energy.paper_tables import load_paper_tables, recompute_energy
from hybrid_cvar.energy.pricing import estimate_energy
from hybrid_cvar.energy.profile import EnergyConstant, EnergyProfile
from hybrid_cvar.energy.profile_file import load_profile, profile_names

__all__ = [
    "EnergyConstant",
    "EnergyProfile",
    "estimate_energy",
    "load_paper_tables",
    "load_profile",
    "model_chip_latency",
    "profile_names",
    "recompute_energy",
]
