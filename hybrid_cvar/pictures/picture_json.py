"""The numbers of a picture as JSON, for programs.

Both have "schema", "schema_version", "hybrid_cvar_version", "created" (ISO 8601, UTC), "command" and "provenance",
which is "measured": all is counted on the videos that were given.

    "schema": "hybrid-cvar/trajectories"                  as in `Trajectories`
      "videos": [{"name", "frames"}, ...]
      "neighbours", "perplexity", "seed"
      "spaces": [{"representation", "overlap_features", "overlap_embedding", "chance", "retrace" (or null),
                  "variance_kept", "points": [{"video", "gop", "step", "x", "y"}, ...]}, ...]

    "schema": "hybrid-cvar/saliency"                      as in `VideoSaliency`
      "video", "model", "trained", "label", "probability", "answer"
      "clips": [{"gop_index", "pts_seconds", "moving_area",
                 "maps": [{"modality", "moving_share", "input_share"}, ...]}, ...]      shares, or null

"schema_version" rises with every change of the names or of what they mean.
"""

import json
from datetime import UTC, datetime
from typing import Any

from hybrid_cvar.errors import OutputError
from hybrid_cvar.pictures.saliency import VideoSaliency
from hybrid_cvar.pictures.trajectories import Trajectories, TrajectorySpace
from hybrid_cvar.records import Provenance
from hybrid_cvar.version import __version__

__all__ = ["SCHEMA_VERSION", "render_saliency", "render_trajectories"]

SCHEMA_VERSION = 1


def render_trajectories(result: Trajectories, *, command: str | None = None) -> str:
    """Trajectories as JSON text, ASCII, ending in a newline.

    Args:
        result: what was measured.
        command: the command line that made it.

    Raises:
        OutputError: a number is not finite.
    """
    content = {
        "videos": [{"name": name, "frames": frames} for name, frames in zip(result.names, result.frames, strict=True)],
        "neighbours": result.neighbours,
        "perplexity": result.perplexity,
        "seed": result.seed,
        "spaces": [_space(space) for space in result.spaces],
    }
    return _rendered("trajectories", command, content)


def render_saliency(result: VideoSaliency, *, command: str | None = None) -> str:
    """Saliency as JSON text, ASCII, ending in a newline; arguments and errors as `render_trajectories`."""
    content = {
        "video": result.name,
        "model": result.model,
        "trained": result.trained,
        "label": result.label,
        "probability": result.probability,
        "answer": result.answer,
        "clips": [
            {
                "gop_index": each.clip.gop_index,
                "pts_seconds": each.clip.pts_seconds,
                "moving_area": each.moving_area,
                "maps": [
                    {
                        "modality": found.modality,
                        "moving_share": found.moving_share,
                        "input_share": found.input_share,
                    }
                    for found in each.maps
                ],
            }
            for each in result.clips
        ],
    }
    return _rendered("saliency", command, content)


def _space(space: TrajectorySpace) -> dict[str, Any]:
    rows = zip(space.video.tolist(), space.gop.tolist(), space.step.tolist(), space.position.tolist(), strict=True)
    return {
        "representation": space.representation,
        "overlap_features": space.overlap_features,
        "overlap_embedding": space.overlap_embedding,
        "chance": space.chance,
        "retrace": space.retrace,
        "variance_kept": space.variance_kept,
        "points": [{"video": video, "gop": gop, "step": step, "x": x, "y": y} for video, gop, step, (x, y) in rows],
    }


def _rendered(kind: str, command: str | None, content: dict[str, Any]) -> str:
    head = {
        "schema": f"hybrid-cvar/{kind}",
        "schema_version": SCHEMA_VERSION,
        "hybrid_cvar_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "provenance": Provenance.MEASURED.value,
    }
    try:
        return json.dumps(head | content, indent=1, allow_nan=False) + "\n"
    except ValueError as error:
        raise OutputError(f"{kind}: a number is not finite", "JSON holds none such", "look at the picture") from error
