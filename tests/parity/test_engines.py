"""The parity chain on real clips: SLAYER -> native -> Lava, torch -> ONNX Runtime, engine against engine."""

from pathlib import Path

import numpy as np
import pytest

from hybrid_cvar.assets import DEFAULT_BUNDLE, DEFAULT_CHECKPOINT, SAMPLE_VIDEO
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.runtime import HybridRuntime

pytestmark = [pytest.mark.needs_lava, pytest.mark.needs_compile]


@pytest.fixture(scope="module")
def runtimes():
    bundle = load_bundle(DEFAULT_BUNDLE)
    with HybridRuntime(bundle, engine="lava") as lava, HybridRuntime(bundle, engine="native") as native:
        yield lava, native


@pytest.fixture(params=["sample", "dancer", "bikes"])
def video(request) -> Path:
    return SAMPLE_VIDEO if request.param == "sample" else request.getfixturevalue(request.param)


@pytest.mark.needs_clips
def test_lava_and_native_logits_are_bit_identical(runtimes, video):
    lava, native = (runtime.run_video(video, clips=3) for runtime in runtimes)
    assert lava.clips == 3
    assert lava.clip_logits.tobytes() == native.clip_logits.tobytes()
    assert lava.spiking == native.spiking
    assert lava.dense == native.dense
    assert all(layer.spikes_out for layer in lava.spiking)


@pytest.mark.needs_clips
def test_the_whole_chain_on_real_clips(dancer):
    from hybrid_cvar.compiler.partition import partition_model
    from hybrid_cvar.compiler.verify import verify_partitions
    from hybrid_cvar.model import load_checkpoint
    from hybrid_cvar.video import read_clips

    model = load_checkpoint(DEFAULT_CHECKPOINT).build_model()
    clips = read_clips(dancer, model.config.input, 2).clips
    rows = verify_partitions(model, partition_model(model), load_bundle(DEFAULT_BUNDLE).ann, clips).rows
    failed = [row for row in rows if not row.passed]
    assert failed == []
    exact = [row for row in rows if row.rule.startswith("every value")]
    assert sum(row.values for row in exact) > 5_000_000
    assert {row.compared for row in rows} == {
        "float -> SLAYER quantised",
        "SLAYER quantised -> native",
        "native -> Lava fixed_pt",
        "torch ANN -> ONNX Runtime",
        "torch model -> native + ONNX Runtime",
    }


def test_the_shipped_bundle_is_the_shipped_checkpoint_compiled():
    from hybrid_cvar.compiler.bundle import file_sha256
    from hybrid_cvar.compiler.partition import partition_model
    from hybrid_cvar.model import load_checkpoint

    bundle = load_bundle(DEFAULT_BUNDLE)
    assert bundle.manifest["checkpoint_sha256"] == file_sha256(DEFAULT_CHECKPOINT)
    checkpoint = load_checkpoint(DEFAULT_CHECKPOINT)
    assert bundle.labels == checkpoint.labels
    for left, right in zip(partition_model(checkpoint.build_model()).stm.streams, bundle.stm.streams, strict=True):
        for a, b in zip(left.layers, right.layers, strict=True):
            np.testing.assert_array_equal(a.weight, b.weight)
