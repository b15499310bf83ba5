from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hybrid_cvar.energy import estimate_energy, load_profile
from hybrid_cvar.records import NodeMacs, Report, SpikingLayerCounts, StageSeconds, Trace, VideoInfo
from hybrid_cvar.reporting import build_report

LABELS = ("push", "pull", "sit down", "stand up", "wave", "jump", "turn left", "turn right")


def _layer(stream: str, layer: int, clips: int, events_in: int, rate: float) -> SpikingLayerCounts:
    neurons = 56 * 56 * 16
    updates = neurons * 11 * clips
    return SpikingLayerCounts(
        stream=stream,
        layer=layer,
        graded_input=layer == 0,
        neurons=neurons,
        timesteps=11 * clips,
        events_in=events_in,
        synaptic_operations=events_in * 36,
        neuron_updates=updates,
        spikes_out=int(updates * rate),
        saturated_states=0,
    )


@pytest.fixture
def make_trace() -> Callable[..., Trace]:
    """A trace the size of a real run: 112x112 input, stride 2, 16 channels, 11 steps; fields can be replaced."""

    def make(clips: int = 8, **changes: object) -> Trace:
        rng = np.random.default_rng(7)
        logits = rng.normal(0.0, 0.4, (clips, len(LABELS))).astype(np.float32)
        logits[:, 1] += 3.0
        trace = Trace(
            video=VideoInfo(
                path="videos/pull_0007.mp4",
                codec="h264",
                width=1280,
                height=720,
                frames_per_second=29.97,
                duration_seconds=12.4,
                transcoded=True,
                reason="H.264 with B-frames",
            ),
            model="hybrid-small",
            trained=True,
            engine="lava",
            provider="cpu",
            precision="fp32",
            labels=LABELS,
            clip_pts_seconds=tuple(0.5 + 1.5 * i for i in range(clips)),
            clip_logits=logits,
            spiking=(
                _layer("motion", 0, clips, 77_301 * clips, 0.051),
                _layer("motion", 1, clips, 28_150 * clips, 0.034),
                _layer("residual", 0, clips, 211_118 * clips, 0.068),
                _layer("residual", 1, clips, 37_532 * clips, 0.027),
            ),
            dense=(
                NodeMacs("embed.iframe", "Conv", 38_535_168),
                NodeMacs("embed.motion", "Conv", 12_845_056),
                NodeMacs("block.0.qkv", "MatMul", 86_704_128),
                NodeMacs("block.0.attention", "MatMul", 12_300_000),
                NodeMacs("head", "Gemm", 24_576),
            ),
            stages=(
                StageSeconds("read", 0.412),
                StageSeconds("encode", 0.0183),
                StageSeconds("spiking", 1.934),
                StageSeconds("dense", 0.702),
            ),
        )
        return replace(trace, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_report(make_trace: Callable[..., Trace]) -> Callable[..., Report]:
    """`make_trace`'s trace, priced and summed up; `path` replaces the file name."""

    def make(
        clips: int = 8, *, path: str | None = None, top: int = 5, notices: tuple[str, ...] = (), **changes: object
    ) -> Report:
        trace = make_trace(clips, **changes)
        if path is not None:
            trace = replace(trace, video=replace(trace.video, path=path))
        return build_report(trace, estimate_energy(trace, load_profile()), top=top, notices=notices)

    return make
