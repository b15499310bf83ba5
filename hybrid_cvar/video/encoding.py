"""The paper's video format: MPEG-4 Part 2, a fixed GOP, no B-frames, a fixed quantiser."""

from fractions import Fraction

from av.container import OutputContainer
from av.video.stream import VideoStream

__all__ = ["BIT_EXACT", "GOP_FRAMES", "add_mpeg4_stream"]

GOP_FRAMES = 12
BIT_EXACT = {"fflags": "+bitexact"}
"""Container options: no dates and no version strings in the file."""

LAMBDA_PER_QSCALE = 118  # FF_QP2LAMBDA
NO_SCENE_CUTS = 1_000_000_000


def add_mpeg4_stream(
    container: OutputContainer,
    *,
    width: int,
    height: int,
    frames_per_second: Fraction,
    gop: int = GOP_FRAMES,
    qscale: int = 4,
    time_base: Fraction | None = None,
) -> VideoStream:
    """Add a stream whose every `gop` frames are one I-frame and `gop - 1` P-frames.

    The bits depend on the frames and the FFmpeg release only: one thread (each thread would code its own
    slice) and bit-exact transforms.

    Args:
        container: open for writing.
        width, height: frame size, pixels.
        frames_per_second: nominal rate.
        gop: frames a GOP.
        qscale: quantiser, 1 (best) to 31.
        time_base: unit of the frames' times, seconds; one frame if None. MPEG-4 allows denominators to 65535.

    Returns:
        The stream; frames must be yuv420p.
    """
    stream = container.add_stream("mpeg4", rate=frames_per_second)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    encoder = stream.codec_context
    encoder.thread_count = 1
    if time_base is not None:
        encoder.time_base = time_base
    encoder.options = {
        "g": str(gop),
        "bf": "0",
        "flags": "+qscale+bitexact",
        "global_quality": str(qscale * LAMBDA_PER_QSCALE),
        "sc_threshold": str(NO_SCENE_CUTS),
        "strict": "experimental",  # without it a GOP is 600 frames at most
    }
    return stream
