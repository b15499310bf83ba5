"""Trajectories as a picture: one panel a representation, one colour a video."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.pictures.trajectories import Trajectories, TrajectorySpace

__all__ = ["draw_trajectories"]

COLOURS = ((0.80, 0.24, 0.10), (0.08, 0.36, 0.67), (0.13, 0.50, 0.22), (0.48, 0.25, 0.60), (0.55, 0.40, 0.05))
TITLES = {"rgb": "decoded frames, RGB", "motion": "accumulated motion", "residual": "accumulated residual"}
PALEST = 0.22
"""Weight of a video's colour at its first frame; the last has all of it."""

LONGEST_NAME = 40
NOTE = (
    "One point a frame, one curve a video. Motion and residual are 0 at I-frames by definition: those are left out, "
    "and a dotted line goes over each.\n"
    "Overlap: share of the {neighbours} nearest neighbours of a P-frame that are of another video, before t-SNE and as "
    "drawn; by chance, if the videos were mixed at random.\n"
    "Opposite ways: share of P-frames whose nearest other visit of the same video moves against them, before t-SNE: "
    "100 % to and fro, 0 % round and round.\n"
    "Counted on these videos alone. Accumulated motion and residual begin near 0 in every GOP, so early P-frames of "
    "any videos lie close; other actions show how much of an overlap is the action's."
)


def draw_trajectories(result: Trajectories, figure: Any) -> None:
    """Draws three panels side by side, with each space's numbers below it.

    A curve is pale where the video begins and full where it ends; one arrow a GOP shows its way. Axes of t-SNE have no
    unit, and distances between far points mean nothing.

    Args:
        result: what is drawn.
        figure: an empty matplotlib figure; its size is set.
    """
    figure.set_size_inches(14.4, 6.9)
    panels = figure.subplots(1, len(result.spaces))
    for axes, space in zip(panels, result.spaces, strict=True):
        for number in range(len(result.names)):
            _draw_curve(axes, space, number)
        _frame_panel(axes, space)
    _draw_legend(figure, result)
    figure.supxlabel(NOTE.format(neighbours=result.neighbours), fontsize=8.5, color="0.3", x=0.01, ha="left")


def _draw_curve(axes: Any, space: TrajectorySpace, number: int) -> None:
    from matplotlib.collections import LineCollection

    own = space.video == number
    points, gop, step = space.position[own], space.gop[own], space.step[own]
    colours = _shades(number, len(points))
    segments = np.stack([points[:-1], points[1:]], axis=1)
    bridges = gop[1:] != gop[:-1] if space.representation != "rgb" else np.zeros(len(segments), bool)
    axes.add_collection(LineCollection(segments[~bridges], colors=colours[1:][~bridges], linewidths=1.3, zorder=2))
    axes.add_collection(
        LineCollection(segments[bridges], colors=colours[1:][bridges], linewidths=0.8, linestyles=":", zorder=1)
    )
    axes.scatter(*points.T, s=9, c=colours, linewidths=0, zorder=3)
    iframes = step == 0
    if iframes.any():
        axes.scatter(*points[iframes].T, s=42, marker="s", c="white", edgecolors=colours[iframes], zorder=4)
    _draw_arrows(axes, points, gop, colours)
    axes.scatter(*points[:1].T, s=95, marker="o", c="white", edgecolors=[COLOURS[number % len(COLOURS)]], zorder=5)
    axes.scatter(*points[:1].T, s=18, marker="o", c=[COLOURS[number % len(COLOURS)]], zorder=6)


def _draw_arrows(axes: Any, points: NDArray[np.float64], gop: NDArray[np.int64], colours: NDArray[np.float64]) -> None:
    """One in the middle of each GOP."""
    for group in np.unique(gop):
        (members,) = np.nonzero(gop == group)
        middle = members[len(members) // 2]
        tail, head = points[middle - 1], points[middle]
        if np.allclose(tail, head):
            continue
        style = {"arrowstyle": "-|>", "color": colours[middle], "mutation_scale": 14, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", xy=head, xytext=tail, arrowprops=style, zorder=4)


def _shades(number: int, count: int) -> NDArray[np.float64]:
    """(count, 3): from pale to the video's colour."""
    weight = np.linspace(PALEST, 1.0, count)[:, None]
    return 1.0 - weight * (1.0 - np.array(COLOURS[number % len(COLOURS)]))


def _frame_panel(axes: Any, space: TrajectorySpace) -> None:
    axes.set_title(TITLES[space.representation], fontsize=12)
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.06)
    if not space.position.any():
        axes.text(
            0.5, 0.56, "all frames are one point", ha="center", transform=axes.transAxes, fontsize=10, color="0.4"
        )
    before, drawn, chance = (
        f"{100 * share:.0f} %" for share in (space.overlap_features, space.overlap_embedding, space.chance)
    )
    ways = "nothing moves" if space.retrace is None else f"opposite ways {100 * space.retrace:.0f} %"
    axes.set_xlabel(
        f"overlap {before}, as drawn {drawn} (by chance {chance})\n{ways}",
        fontsize=10,
    )
    for side in axes.spines.values():
        side.set_color("0.8")


def _draw_legend(figure: Any, result: Trajectories) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[number % len(COLOURS)], linewidth=2, label=f"{_short(name)} ({frames} frames)")
        for number, (name, frames) in enumerate(zip(result.names, result.frames, strict=True))
    ]
    grey: dict[str, Any] = {"color": "0.35", "linestyle": "none"}
    handles.append(Line2D([], [], marker="o", markerfacecolor="white", markersize=9, label="first frame", **grey))
    handles.append(Line2D([], [], marker="s", markerfacecolor="white", markersize=6, label="I-frame (RGB)", **grey))
    handles.append(Line2D([], [], color="0.35", linewidth=2, label="time: pale to full colour"))
    legend = figure.legend(
        handles=handles, loc="outside upper center", ncols=min(len(handles), 5), fontsize=9, frameon=False
    )
    legend.set_title(
        f"The frames of {len(result.names)} videos in t-SNE space (perplexity {result.perplexity:.3g}, "
        f"seed {result.seed})",
        {"size": 13},
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."
