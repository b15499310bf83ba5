"""Video in the compressed domain: GOP -> I-frame, accumulated motion, accumulated residual -> Clip.

    file -> stream_info (native or not) -> [transcode] -> packet_scan (where the GOPs lie)
         -> gop_reader (motion_field, accumulation) -> Gop -> geometry -> Clip; sampling picks the GOPs

The identity that holds to the last bit, for every pixel i and P-frame t of an accumulated GOP:
`frame[t][i] == iframe[i - motion[t][i]] + residual[t][i]` (paper Sec. 3.1).
"""

from hybrid_cvar.video.geometry import cut_clip
from hybrid_cvar.video.gop_reader import read_gops
from hybrid_cvar.video.sampling import ClipStream, SampledVideo, open_clips, sample_clips
from hybrid_cvar.video.stream_info import probe_video

__all__ = [
    "ClipStream",
    "SampledVideo",
    "cut_clip",
    "open_clips",
    "probe_video",
    "read_gops",
    "sample_clips",
]
