"""Inputs of the ANN partition for a batch of clips."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.model import ModelConfig
from hybrid_cvar.records import Clip, SpikingResult, stream_events

__all__ = ["ann_feed"]


def ann_feed(
    config: ModelConfig, clips: Sequence[Clip], spiking: Sequence[SpikingResult] = ()
) -> dict[str, NDArray[np.generic]]:
    """Arrays (N, ...) by name, in the order, shapes and dtypes of `config.ann_inputs`.

    Args:
        config: names the inputs.
        clips: N of them; give I-frames, and events where no spiking partition takes them.
        spiking: what the spiking partition made of each clip; may be empty where the config has none.
    """
    feed: dict[str, NDArray[np.generic]] = {}
    for each in config.ann_inputs:
        stream = each.name.rpartition("_")[0]
        if each.kind == "iframe":
            feed[each.name] = np.stack([clip.iframe for clip in clips])
        elif each.kind == "events":
            feed[each.name] = np.stack([stream_events(clip, config.input, stream) for clip in clips])
        else:
            index = config.spiking_streams.index(stream)
            feed[each.name] = np.stack([result.readouts[index] for result in spiking])
    return feed
