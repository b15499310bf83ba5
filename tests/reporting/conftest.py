import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hybrid_cvar.records import (
    ChipFit,
    ChipLatency,
    ClipView,
    CoreBounds,
    EnergyEstimate,
    EnergyTerm,
    Finding,
    GopStructure,
    LayerLatency,
    LayerResources,
    NodeMacs,
    ParityRow,
    PricedConstant,
    ReadCounts,
    Report,
    ResourceReport,
    SpikingLayerCounts,
    StageSeconds,
    Trace,
    VideoInfo,
)
from hybrid_cvar.reporting import build_report

LABELS = ("push", "pull", "sit down", "stand up", "wave", "jump", "turn left", "turn right")


def by_step(total: int, steps: int = 11) -> tuple[int, ...]:
    """Whole numbers that rise from step to step and add up to a total."""
    edges = [total * i * (i + 9) // (steps * (steps + 9)) for i in range(steps + 1)]
    return tuple(after - before for before, after in itertools.pairwise(edges))


def make_layer(stream: str, layer: int, clips: int, events_in: int, rate: float) -> SpikingLayerCounts:
    neurons = 56 * 56 * 16
    updates = neurons * 11 * clips
    return SpikingLayerCounts(
        stream=stream,
        layer=layer,
        graded_input=layer == 0,
        neurons=neurons,
        timesteps=11 * clips,
        events_in=events_in,
        synaptic_operations=events_in * 34,
        stored_operations=events_in * 36,
        neuron_updates=updates,
        active_updates=updates * 5 // 8,
        spikes_out=int(updates * rate),
        saturated_states=0,
        step_events=by_step(events_in),
        step_operations=by_step(events_in * 36),
        step_spikes=by_step(int(updates * rate)),
    )


def make_view(size: int = 112) -> ClipView:
    """A scene with an object that moves right, its residual, and membranes with structure."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:size, :size]
    disc = np.hypot(x - 0.6 * size, y - 0.5 * size) < 0.22 * size
    iframe = np.stack([90 + 60 * x // size, 80 + 90 * y // size, np.full_like(x, 110)], axis=-1).astype(np.uint8)
    iframe[disc] = (214, 120, 60)
    motion = np.zeros((size, size, 2), np.int16)
    motion[disc] = (9, -2)
    motion[: size // 3] = (-2, 1)
    edge = disc ^ np.roll(disc, 4, axis=1)
    residual = rng.normal(0, 2, (size, size, 3)).astype(np.int16)
    residual[edge] += np.int16([60, -30, -20])
    small = size // 2
    maps = rng.normal(0, 900, (small, small, 16))
    inside = disc[::2, ::2, None] * np.linspace(-9000, 9000, 16)
    readout = (maps + inside).astype(np.int32)
    return ClipView(0, iframe, motion, residual, ("motion", "residual"), (readout, readout[::-1] // 3))


def price(trace: Trace) -> EnergyEstimate:
    """The paper's model: 0.9 pJ an accumulate, 4.6 pJ a multiply-accumulate."""
    terms = [EnergyTerm(layer.name, "spiking", "AC", layer.synaptic_operations, 0.9) for layer in trace.spiking]
    for operator in dict.fromkeys(node.op_type for node in trace.dense):
        macs = trace.clips * sum(node.macs for node in trace.dense if node.op_type == operator)
        terms.append(EnergyTerm(operator, "dense", "MAC", macs, 4.6))
    source = "Horowitz, ISSCC 2014"
    return EnergyEstimate(
        profile="paper-45nm",
        description="the paper's model: arithmetic alone, 45 nm, FP32",
        source=source,
        strict=False,
        terms=tuple(terms),
        constants=(
            PricedConstant("AC", "spiking", 0.9, None, "45 nm, 0.9 V, FP32 add", source),
            PricedConstant("MAC", "dense", 4.6, None, "45 nm, 0.9 V, FP32 multiply and add", source),
        ),
        not_priced=("DRAM", "the host-chip boundary", "static power"),
    )


def make_resources() -> ResourceReport:
    names = ("motion.0", "motion.1", "residual.0", "residual.1")
    return ResourceReport(
        layers=tuple(
            LayerResources(
                name, name.endswith("0"), 50_176, 7_077_888, 2304, 8, 7_077_888, 2304, 150_528, 144, 100_352, 50_176
            )
            for name in names
        ),
        chips=(
            ChipFit(
                chip="Loihi 1",
                layers=tuple(CoreBounds(name, 49, "neurons", 64, (14, 14, 4), "synapses") for name in names),
                cores_at_least=196,
                chips_at_least=2,
                cores_tiled=256,
                chips_tiled=2,
                violations=(Finding("Loihi 1", "2 chips", "a stream fits one chip", "use a larger stride"),),
                not_checked=("routing between chips",),
                sources=("Davies et al., IEEE Micro 2018",),
            ),
            ChipFit(
                "Loihi 2",
                tuple(CoreBounds(name, 13, "state", None, None, "") for name in names),
                52,
                1,
                None,
                None,
                (),
                ("axon tables",),
                ("Intel, 2021",),
            ),
        ),
        assumptions=("weights are shared within a core",),
    )


def make_parity() -> tuple[ParityRow, ...]:
    return (
        ParityRow("SLAYER and native engine", "spikes of every step", 4_415_488, 0, 0.0, "equal bit for bit", True),
        ParityRow("torch and ONNX Runtime", "logits", 128, 0, 3.1e-6, "largest error <= 1e-3", True),
        ParityRow("float and fixed point", "spike rate", 4, 4, 0.0021, "", True),
    )


def make_chip_latency() -> ChipLatency:
    names = ("motion.0", "motion.1", "residual.0", "residual.1")
    return ChipLatency(
        profile="loihi1-davies2018",
        chip="Loihi 1",
        steps=13,
        cores=196,
        barrier_seconds=4.65e-7,
        clip_seconds=0.00231,
        layers=tuple(
            LayerLatency(name, 49, 1024, 52_000.0 * (i + 1), 0.0004 * (i + 1)) for i, name in enumerate(names)
        ),
        assumptions=("operations are spread evenly over a layer's cores",),
        sources=("Davies et al., IEEE Micro 2018, Table 2",),
    )


def spread_evenly(seconds: float, clips: int) -> tuple[float, ...]:
    """Seconds a clip that add up to a total, the later clips a little slower."""
    weights = np.linspace(0.9, 1.1, clips) if clips > 1 else np.ones(1)
    return tuple(float(value) for value in seconds * weights / weights.sum())


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
                structure=GopStructure(12, 18, 42, 30.5, 12, 120, 240, 2, 0),
            ),
            model="hybrid-small",
            bundle_sha256="5d" * 32,
            trained=True,
            engine="lava",
            provider="cpu",
            precision="fp32",
            labels=LABELS,
            clip_pts_seconds=tuple(0.5 + 1.5 * i for i in range(clips)),
            clip_logits=logits,
            spiking=(
                make_layer("motion", 0, clips, 77_301 * clips, 0.051),
                make_layer("motion", 1, clips, 28_150 * clips, 0.034),
                make_layer("residual", 0, clips, 211_118 * clips, 0.068),
                make_layer("residual", 1, clips, 37_532 * clips, 0.027),
            ),
            dense=(
                NodeMacs("embed.iframe", "Conv", 38_535_168),
                NodeMacs("embed.motion", "Conv", 12_845_056),
                NodeMacs("block.0.qkv", "MatMul", 86_704_128),
                NodeMacs("block.0.attention", "MatMul", 12_300_000),
                NodeMacs("head", "Gemm", 24_576),
            ),
            stages=tuple(
                StageSeconds(stage, spread_evenly(seconds, clips))
                for stage, seconds in (
                    ("read", 0.412),
                    ("accumulate", 0.061),
                    ("encode", 0.0183),
                    ("spiking", 1.934),
                    ("transport", 0.22),
                    ("dense", 0.702),
                )
            ),
            reading=ReadCounts(
                frames_decoded=31 * clips, motion_vectors=14_000 * clips, accumulated_pixels=957_440 * clips
            ),
            first_prediction_seconds=0.461,
            wall_seconds=2.31,
            overlapped=True,
            view=make_view(),
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
        report = build_report(trace, price(trace), top=top, notices=notices)
        return replace(report, resources=make_resources(), parity=make_parity(), chip_latency=make_chip_latency())

    return make
