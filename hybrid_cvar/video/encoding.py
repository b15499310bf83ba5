"""The paper's video format: MPEG-4 Part 2, a fixed GOP, no B-frames, a fixed quantiser."""

import os
from collections.abc import Iterable
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.errors import ConfigError

__all__ = ["BIT_EXACT", "GOP_FRAMES", "QSCALE", "add_mpeg4_stream", "encode_video", "mpeg4_encoder"]

GOP_FRAMES = 12
QSCALE = 2
BIT_EXACT = {"fflags": "+bitexact"}
"""Container options: no dates and no version strings in the file."""

NO_SCENE_CUTS = 1_000_000_000
NOMINAL_RATE = Fraction(25)


def add_mpeg4_stream(
    container: OutputContainer,
    *,
    width: int,
    height: int,
    frames_per_second: Fraction,
    gop: int = GOP_FRAMES,
    qscale: int = QSCALE,
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
    if time_base is not None:
        stream.codec_context.time_base = time_base
    _configure(stream.codec_context, gop, qscale)
    return stream


def mpeg4_encoder(*, width: int, height: int, gop: int, qscale: int = QSCALE) -> VideoCodecContext:
    """As `add_mpeg4_stream`, without a container: frames in (times 0, 1, 2, ...), packets out.

    A GOP's bits do not depend on the frames before it, so an encoder of its own for each GOP gives the same pictures.
    """
    encoder = av.CodecContext.create("mpeg4", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.framerate, encoder.time_base = NOMINAL_RATE, 1 / NOMINAL_RATE
    _configure(encoder, gop, qscale)
    return encoder


def encode_video(
    frames: Iterable[NDArray[np.uint8]],
    destination: Path | BinaryIO,
    fps: int = 25,
    gop: int = GOP_FRAMES,
    qscale: int = QSCALE,
) -> None:
    """Write frames as AVI in the paper's format: MPEG-4 Part 2, fixed GOP, no B-frames, fixed quantiser.

    The same frames give the same bytes under the same FFmpeg.

    Args:
        frames: uint8 (H, W, 3), RGB, all of one size.
        destination: a file, which appears whole or not at all, or an open binary file.
        fps: frames a second.
        gop: frames a GOP.
        qscale: quantiser, 1 (best) to 31.

    Raises:
        OutputError: the file cannot be written.
        ConfigError: there are no frames.
    """
    encoded = BytesIO()
    with av.open(encoded, mode="w", format="avi", container_options=BIT_EXACT) as container:
        stream = None
        for pixels in frames:
            if stream is None:
                height, width = pixels.shape[:2]
                stream = add_mpeg4_stream(
                    container, width=width, height=height, frames_per_second=Fraction(fps), gop=gop, qscale=qscale
                )
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        if stream is None:
            raise ConfigError("no frames", "a video needs at least one")
        container.mux(stream.encode(None))
    if isinstance(destination, str | os.PathLike):
        write_atomically(Path(destination), encoded.getvalue())
    else:
        destination.write(encoded.getvalue())


def _configure(encoder: VideoCodecContext, gop: int, qscale: int) -> None:
    encoder.thread_count = 1
    encoder.options = {
        "g": str(gop),
        "bf": "0",
        # A fixed quantiser is taken from each frame, where PyAV cannot set it; only its limits hold.
        "flags": "+qscale+bitexact",
        "qmin": str(qscale),
        "qmax": str(qscale),
        "sc_threshold": str(NO_SCENE_CUTS),
        "strict": "experimental",  # without it a GOP is 600 frames at most
    }
