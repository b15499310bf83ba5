"""Traces of given counts, made without running anything."""

from collections.abc import Callable

import numpy as np
import pytest

from hybrid_cvar.records import NodeMacs, ReadCounts, SpikingLayerCounts, StageSeconds, Trace, VideoInfo

MakeLayer = Callable[..., SpikingLayerCounts]
MakeTrace = Callable[..., Trace]
STEPS = 11


@pytest.fixture(scope="session")
def make_layer() -> MakeLayer:
    """`<stream>.<layer>` of 100 neurons; what is not given is derived from the synaptic operations."""

    def make(stream: str, layer: int, synaptic_operations: int, *, clips: int = 3, **given) -> SpikingLayerCounts:
        stored = given.get("stored_operations", synaptic_operations + synaptic_operations // 5)
        neurons = given.get("neurons", 100)
        updates = given.get("neuron_updates", STEPS * clips * neurons)
        spikes = given.get("spikes_out", updates // 10)

        def by_step(total: int) -> tuple[int, ...]:
            """Uneven, with the right sum."""
            steps = [total * step // 66 for step in range(1, STEPS)]
            return (*steps, total - sum(steps))

        fields = {
            "graded_input": layer == 0,
            "neurons": neurons,
            "timesteps": STEPS * clips,
            "events_in": synaptic_operations // 9,
            "synaptic_operations": synaptic_operations,
            "stored_operations": stored,
            "neuron_updates": updates,
            "active_updates": updates * 3 // 4,
            "spikes_out": spikes,
            "saturated_states": 0,
            "step_events": by_step(synaptic_operations // 9),
            "step_operations": by_step(stored),
            "step_spikes": by_step(spikes),
        }
        return SpikingLayerCounts(stream=stream, layer=layer, **(fields | given))

    return make


@pytest.fixture(scope="session")
def make_trace(make_layer: MakeLayer) -> MakeTrace:
    """Layers as given, else two first layers of the given synaptic operations; three ANN nodes of two operators."""

    def make(
        clips: int = 3,
        synaptic_operations: tuple[int, int] = (1_000_003, 20_011),
        spiking: tuple[SpikingLayerCounts, ...] | None = None,
        dense: tuple[NodeMacs, ...] = (
            NodeMacs("a", "Conv", 7),
            NodeMacs("b", "MatMul", 500),
            NodeMacs("c", "Conv", 11),
        ),
    ) -> Trace:
        if spiking is None:
            pairs = zip(("motion", "residual"), synaptic_operations, strict=True)
            spiking = tuple(make_layer(stream, 0, operations, clips=clips) for stream, operations in pairs)
        return Trace(
            video=VideoInfo("a.avi", "mpeg4", 340, 256, 25.0, 4.0, False, "MPEG-4 Part 2, GOP 12"),
            model="tiny",
            trained=True,
            engine="native",
            provider="cpu",
            precision="fp32",
            labels=("push", "pull"),
            clip_pts_seconds=tuple(float(i) for i in range(clips)),
            clip_logits=np.zeros((clips, 2), np.float32),
            spiking=spiking,
            dense=dense,
            stages=(StageSeconds("read", (0.1,) * clips),),
            reading=ReadCounts(12 * clips, 100 * clips, 1000 * clips),
            first_prediction_seconds=0.1,
            wall_seconds=0.1 * clips,
        )

    return make
