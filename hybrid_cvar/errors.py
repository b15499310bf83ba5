"""Errors that hybrid-cvar raises for what a user gave or what a machine lacks.

    HybridCvarError
      VideoError               a video cannot be read
        UnsupportedVideoError  it can be opened, but holds nothing the reader can use
        CorruptVideoError      its data are damaged beyond use
        ShortVideoError        it holds no complete GOP
      ConfigError              a value is out of its range, or parts do not fit together
      DatasetError             a dataset's lists or folders are missing, or not what its format says
      CheckpointError          a checkpoint is missing, unsafe, of another version or incomplete
      CompileError             a checkpoint cannot be compiled
        ParityError            two forms of the same partition disagree
      BundleError              a bundle is missing, changed, of another version or incomplete
      EngineError              a partition failed while it ran
        LavaError              a Lava process failed, hung or could not start
      TrainingError            a training run cannot go on
      OutputError              a result cannot be written
      MissingPartError         an optional part is not installed

Each is raised with what was found, the rule it breaks and the remedy, and reads as one line.
"""

__all__ = [
    "BundleError",
    "CheckpointError",
    "CompileError",
    "ConfigError",
    "CorruptVideoError",
    "DatasetError",
    "EngineError",
    "HybridCvarError",
    "LavaError",
    "MissingPartError",
    "OutputError",
    "ParityError",
    "ShortVideoError",
    "TrainingError",
    "UnsupportedVideoError",
    "VideoError",
]


class HybridCvarError(Exception):
    """Base of every error that hybrid-cvar raises on purpose.

    Args:
        found: what was found, with the value (`clip.avi: 7 frames`).
        rule: the rule it breaks (`a GOP needs 12`).
        remedy: what to do about it (`give a longer video`).
    """

    def __init__(self, found: str, rule: str = "", remedy: str = "") -> None:
        self.found = found
        self.rule = rule
        self.remedy = remedy
        super().__init__("; ".join(part for part in (found, rule, remedy) if part))


class VideoError(HybridCvarError):
    """A video cannot be read."""


class UnsupportedVideoError(VideoError):
    """A file opens, but holds nothing that the reader can use."""


class CorruptVideoError(VideoError):
    """A video's data are damaged beyond use."""


class ShortVideoError(VideoError):
    """A video holds no complete GOP."""


class ConfigError(HybridCvarError):
    """A value is out of its range, or parts do not fit together."""


class DatasetError(HybridCvarError):
    """A dataset's lists or folders are missing, or not what its format says."""


class CheckpointError(HybridCvarError):
    """A checkpoint is missing, unsafe, of another version or incomplete."""


class CompileError(HybridCvarError):
    """A checkpoint cannot be compiled."""


class ParityError(CompileError):
    """Two forms of the same partition disagree."""


class BundleError(HybridCvarError):
    """A bundle is missing, changed, of another version or incomplete."""


class EngineError(HybridCvarError):
    """A partition failed while it ran."""


class LavaError(EngineError):
    """A Lava process failed, hung or could not start.

    Args:
        process_traceback: the failing ProcessModel's own traceback, empty if it has none.
    """

    def __init__(self, found: str, rule: str = "", remedy: str = "", process_traceback: str = "") -> None:
        super().__init__(found, rule, remedy)
        self.process_traceback = process_traceback


class TrainingError(HybridCvarError):
    """A training run cannot go on."""


class OutputError(HybridCvarError):
    """A result cannot be written."""


class MissingPartError(HybridCvarError):
    """An optional part is not installed; the remedy is the command that installs it."""
