"""Make `sample.avi`, the video that `hybrid-cvar run` reads when it is given none.

A drawn figure does jumping jacks; 340x256, 25 frames a second, 96 frames in 8 GOPs of MPEG-4 Part 2 without B-frames.
Its seed, and so its person and its place, are in no training or test set that `hybrid-cvar data puppet` draws.

    python -m hybrid_cvar.assets.make_sample [--output F]
"""

import argparse
import sys
from pathlib import Path

from hybrid_cvar.errors import HybridCvarError
from hybrid_cvar.puppets import draw_puppet
from hybrid_cvar.video.encoding import encode_video

__all__ = ["SAMPLE", "main", "make_sample_video"]

SAMPLE = Path(__file__).with_name("sample.avi")
ACTION = "JumpingJack"
SEED = (9, 7, 7, 7)
"""Sets have 0 or 1 in the second place."""
FRAMES = 96
QSCALE = 4

FFMPEG_RELEASE = (62, 28, 102)
"""The libavcodec that encoded the committed file; another one may choose other bits for the same frames."""


def make_sample_video(output: Path) -> None:
    """Draw and encode the sample.

    Args:
        output: file to write.

    Raises:
        OutputError: it cannot be written.
    """
    encode_video(draw_puppet(ACTION, SEED, FRAMES), output, qscale=QSCALE)


def main() -> int:
    """Run the script; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m hybrid_cvar.assets.make_sample", description="Make sample.avi.")
    parser.add_argument("--output", type=Path, default=SAMPLE, metavar="F", help="file to write (default: %(default)s)")
    output = parser.parse_args().output
    try:
        make_sample_video(output)
    except HybridCvarError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{output}: {output.stat().st_size} bytes, {FRAMES} frames of {ACTION!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
