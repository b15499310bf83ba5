"""A long video made of a short one by copying its packets; nothing is encoded again."""

import math
from pathlib import Path

import av

from hybrid_cvar.errors import EngineError

__all__ = ["repeat_video"]


def repeat_video(source: Path, target: Path, seconds: float) -> int:
    """Write a video's packets again and again, with rising times, until it lasts long enough.

    Args:
        source: a video whose last GOP is complete and that starts with a keyframe.
        target: the file to write; its suffix says the container.
        seconds: at least so long.

    Returns:
        How many times the source is in it.

    Raises:
        EngineError: the packets carry no time.
    """
    with av.open(source) as container:
        stream = container.streams.video[0]
        begins, ends = [], []
        for packet in container.demux(stream):
            if packet.size and packet.dts is not None:
                begins.append(int(packet.dts))
                ends.append(int(packet.dts) + int(packet.duration or 0))
        if not begins or not stream.time_base:
            raise EngineError(f"{source}: packets without a time", "a copy needs them", "choose another video")
        period = max(ends) - min(begins)
        copies = max(math.ceil(seconds / float(period * stream.time_base)), 1)
        with av.open(target, "w") as copy:
            out = copy.add_stream_from_template(stream)
            for number in range(copies):
                container.seek(0, stream=stream)
                for packet in container.demux(stream):
                    if not packet.size:
                        continue
                    packet.dts = None if packet.dts is None else packet.dts + number * period
                    packet.pts = None if packet.pts is None else packet.pts + number * period
                    packet.stream = out
                    copy.mux(packet)
    return copies
