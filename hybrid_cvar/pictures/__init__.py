"""Pictures of what a compressed video shows and what a model looks at, with the numbers behind them.

    videos -> frame_points -> trajectories (neighbourhood) -> trajectory_picture     as the paper's Fig. 1
    video, checkpoint -> saliency (input_gradients)        -> saliency_picture       as the paper's Fig. 5
                                                           -> picture_json           the numbers of both

A drawing takes an empty matplotlib figure, such as `reporting.pictures.new_figure` makes.
"""

from hybrid_cvar.pictures.frame_points import REPRESENTATIONS, FramePoints, read_frame_points
from hybrid_cvar.pictures.picture_json import render_saliency, render_trajectories
from hybrid_cvar.pictures.saliency import ClipSaliency, SaliencyMap, VideoSaliency, find_saliency
from hybrid_cvar.pictures.saliency_picture import draw_saliency
from hybrid_cvar.pictures.trajectories import Trajectories, TrajectorySpace, embed_trajectories
from hybrid_cvar.pictures.trajectory_picture import draw_trajectories

__all__ = [
    "REPRESENTATIONS",
    "ClipSaliency",
    "FramePoints",
    "SaliencyMap",
    "Trajectories",
    "TrajectorySpace",
    "VideoSaliency",
    "draw_saliency",
    "draw_trajectories",
    "embed_trajectories",
    "find_saliency",
    "read_frame_points",
    "render_saliency",
    "render_trajectories",
]
