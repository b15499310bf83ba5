"""Saliency as a picture: a clip's inputs above, the significant pixels of each below."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.clip_colours import colour_wheel, flow_colours, residual_colours
from hybrid_cvar.pictures.saliency import ClipSaliency, SaliencyMap, VideoSaliency
from hybrid_cvar.records import Clip

__all__ = ["draw_saliency"]

PANEL_INCHES, SMALLEST_WIDTH_INCHES, BAR_INCHES = 2.9, 7.2, 1.0
TEXT_INCHES, MARGIN_INCHES = 0.5, 1.3
"""Height of a block's labels; of the picture's title and note."""

HEAT = "inferno"
STRONGEST = 0.85
"""Opacity of the brightest pixels over the I-frame."""

SMALLEST_MOTION, SMALLEST_RESIDUAL = 2, 16
MOTION_SHARE, RESIDUAL_SHARE = 95, 99
"""Percentiles that are shown in full colour."""

LONGEST_NAME = 60
NAMES = {"iframe": "I-frame", "motion": "motion", "residual": "residual"}


def draw_saliency(result: VideoSaliency, figure: Any) -> None:
    """Draws a block a clip: two rows, and a column a modality.

    Above are the I-frame and, at the last P-frame, motion (hue: direction; the wheel's edge: the length that its title
    says) and residual (around grey). Below lies each modality's map over the I-frame in grey; brightest is the map's
    99th percentile, so brightness compares within a map, not between maps.

    Args:
        result: what is drawn.
        figure: an empty matplotlib figure; its size is set.
    """
    columns = len(result.clips[0].maps)
    figure.set_size_inches(
        max(columns * PANEL_INCHES, SMALLEST_WIDTH_INCHES) + BAR_INCHES,
        (2 * PANEL_INCHES + TEXT_INCHES) * len(result.clips) + MARGIN_INCHES,
    )
    panels = figure.subplots(2 * len(result.clips), columns, squeeze=False)
    for number, clip in enumerate(result.clips):
        above, below = panels[2 * number], panels[2 * number + 1]
        for column, found in enumerate(clip.maps):
            _draw_input(above[column], clip.clip, found.modality)
            heat = _draw_map(below[column], clip, found)
        above[0].set_ylabel(f"clip {number + 1}, at {clip.clip.pts_seconds:.2f} s", fontsize=10)
        below[0].set_ylabel("significant pixels", fontsize=10)
        figure.colorbar(
            heat, ax=list(below), fraction=0.025, pad=0.02, shrink=0.9, label="|gradient x input|, of the 99th pct."
        )
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
    figure.suptitle(_title(result), fontsize=12, parse_math=False)
    figure.supxlabel(_note(result), fontsize=8.5, color="0.3", x=0.01, ha="left")


def _draw_input(axes: Any, clip: Clip, modality: str) -> None:
    if modality == "iframe":
        axes.imshow(clip.iframe)
        axes.set_title("I-frame", fontsize=10)
    elif modality == "motion":
        last = clip.motion[-1]
        lengths = np.hypot(*np.moveaxis(last.astype(np.float64), -1, 0))
        limit = _limit(lengths, MOTION_SHARE, SMALLEST_MOTION)
        axes.imshow(flow_colours(last, limit))
        axes.set_title(f"motion, P-frame {len(clip.motion)}; full colour: {limit} pixels", fontsize=10)
        wheel = axes.inset_axes((0.83, 0.02, 0.15, 0.15))
        wheel.imshow(colour_wheel(48))
        wheel.set_axis_off()
    else:
        last = clip.residual[-1]
        limit = _limit(np.abs(last.astype(np.float64)).max(axis=-1), RESIDUAL_SHARE, SMALLEST_RESIDUAL)
        axes.imshow(residual_colours(last, limit))
        axes.set_title(f"residual, P-frame {len(clip.residual)}; full: +-{limit} levels", fontsize=10)


def _draw_map(axes: Any, clip: ClipSaliency, found: SaliencyMap) -> Any:
    grey = clip.clip.iframe.astype(np.float64).mean(axis=-1)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    heat = axes.imshow(found.shown, cmap=HEAT, vmin=0, vmax=1, alpha=STRONGEST * np.sqrt(found.shown))
    if found.moving_share is None or found.input_share is None:
        axes.set_xlabel(f"{NAMES[found.modality]}: no gradient reaches it, or it is empty", fontsize=9)
    else:
        axes.set_xlabel(
            f"{100 * found.moving_share:.0f} % on moving pixels\n"
            f"(of the input {100 * found.input_share:.0f} %, of the area {100 * clip.moving_area:.0f} %)",
            fontsize=9,
        )
    return heat


def _limit(sizes: NDArray[np.float64], percentile: int, smallest: int) -> int:
    """The percentile of the sizes above 0, a whole number."""
    sizes = sizes[sizes > 0]
    return max(int(np.ceil(np.percentile(sizes, percentile))), smallest) if sizes.size else smallest


def _title(result: VideoSaliency) -> str:
    name = result.name if len(result.name) <= LONGEST_NAME else f"{result.name[: LONGEST_NAME - 3]}..."
    answer = "the answer" if result.label == result.answer else f"the answer is {result.answer}"
    untrained = "" if result.trained else ", untrained"
    return (
        f"{name}: pixels that the logit of {result.label} depends on\n"
        f"({answer}; probability {100 * result.probability:.0f} %; model {result.model}{untrained})"
    )


def _note(result: VideoSaliency) -> str:
    lines = [
        "Moving: motion at the last P-frame that is not the frame's median. Maps of events can be bright only where",
        "events are, so the share of the input itself is given too. A map shows what this logit depends on in this",
        "clip, to first order; not whether it speaks for the class or against it, nor that the answer is right.",
    ]
    if not result.trained:
        lines.append("These weights were not trained: the maps show the network's shape, no recognition.")
    return "\n".join(lines)
