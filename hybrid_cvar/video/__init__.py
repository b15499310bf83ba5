"""Video in the compressed domain: GOP -> I-frame, accumulated motion, accumulated residual -> Clip.

    file -> stream_info (packet_scan, bitstream: native or not)
         -> gop_reader -> native: packet_cursor -> decoder                     -> gop_builder -> Gop
                       -> transcode: decoder -> reencoder (paper's format)     -> gop_builder -> Gop
    stream (stdin, camera, address) -> live -> the same two
    Gop -> geometry -> Clip; sampling picks the GOPs

The identity that holds to the last bit, for every pixel i and P-frame t of an accumulated GOP:
`frame[t][i] == iframe[i - motion[t][i]] + residual[t][i]` (paper Sec. 3.1).
"""

from hybrid_cvar.video.container import VideoSource, source_name
from hybrid_cvar.video.frame_reader import read_frames
from hybrid_cvar.video.geometry import Crop, cut_clip, scale_gop
from hybrid_cvar.video.gop_reader import read_gops
from hybrid_cvar.video.read_meter import ReadMeter
from hybrid_cvar.video.sampling import ClipStream, GopStream, SampledVideo, open_clips, open_gops, read_clips
from hybrid_cvar.video.stream_info import probe_video

__all__ = [
    "ClipStream",
    "Crop",
    "GopStream",
    "ReadMeter",
    "SampledVideo",
    "VideoSource",
    "cut_clip",
    "open_clips",
    "open_gops",
    "probe_video",
    "read_clips",
    "read_frames",
    "read_gops",
    "scale_gop",
    "source_name",
]
