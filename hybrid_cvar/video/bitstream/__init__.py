"""Picture headers out of coded packets, without decoding: is a picture predicted from the previous one alone?

The accumulation of motion vectors needs that, and the vectors that FFmpeg exports do not name their reference. The
headers tell it soundly: a picture without an obstacle is predicted from the previous picture, whatever its blocks do.

    packet -> h264 | mpeg4_part2 | mpeg12 | h263 -> CodedPicture
"""

from hybrid_cvar.video.bitstream import h263, h264, mpeg4_part2, mpeg12
from hybrid_cvar.video.bitstream.picture import CodedPicture, HeaderReader, Obstacle, PictureType

__all__ = ["CodedPicture", "HeaderReader", "Obstacle", "PictureType", "header_reader"]


def header_reader(codec: str, extradata: bytes | None) -> HeaderReader | None:
    """A reader for one stream's packets, from its first one on.

    Args:
        codec: FFmpeg's name of the codec, such as "h264".
        extradata: the headers that the container keeps beside the stream, or None.

    Returns:
        The reader; None for a codec whose pictures are not read.
    """
    match codec:
        case "h264":
            return h264.H264HeaderReader(extradata)
        case "mpeg4":
            return mpeg4_part2.Mpeg4HeaderReader(extradata)
        case "mpeg1video" | "mpeg2video":
            return mpeg12.MpegHeaderReader(extradata)
        case "h263":
            return h263.H263HeaderReader()
        case _:
            return None
