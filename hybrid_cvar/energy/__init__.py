"""Energy models: a trace's operation counts times sourced constants.

    Trace + EnergyProfile -> EnergyEstimate

A profile is a TOML file in `profiles/`; every constant in it names its conditions and its source, and every
profile names what it leaves out.
"""

from hybrid_cvar.energy.pricing import estimate_energy
from hybrid_cvar.energy.profile import EnergyConstant, EnergyProfile, load_profile, profile_names

__all__ = ["EnergyConstant", "EnergyProfile", "estimate_energy", "load_profile", "profile_names"]
