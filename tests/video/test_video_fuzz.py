"""Hostile videos end in frames or in one of our errors; and the harness that says so can see every kind of fault."""

import random
import struct
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid_cvar.benchmark import fuzz_worker
from hybrid_cvar.benchmark.fuzz_material import DAMAGES, HostileFile, damage_bytes, gather_material, make_file
from hybrid_cvar.benchmark.fuzz_worker import FAULT, FRAMES, examine
from hybrid_cvar.benchmark.video_fuzz import Finding, FuzzLimits, FuzzRun, Worker, fuzz_result, fuzz_to_dict, run_fuzz
from hybrid_cvar.errors import HybridCvarError, VideoError
from hybrid_cvar.records import Gop

FILES = 60
GROWTH_BYTES = 150 * 2**20
SECONDS = 10.0


@pytest.fixture(scope="module")
def material():
    return gather_material()


def test_a_run_of_hostile_files():
    run = run_fuzz(FILES, seed=0)
    assert [finding.number for finding in run.findings] == list(range(FILES))
    assert not run.faults, "\n".join(f"{fault.number}: {fault.verdict.what}" for fault in run.faults)
    table = fuzz_to_dict(run)
    assert sum(table["outcomes"].values()) == FILES
    for part in ("by_material", "by_damage"):
        assert sum(sum(row.values()) for row in table[part].values()) == FILES
    # A run in which everything is refused, or nothing is, would show little.
    assert FILES // 3 < table["outcomes"][FRAMES] < FILES and table["gops_read"] > FILES // 2
    assert fuzz_result(run).value == 0


def test_whole_material_is_read(material, tmp_path):
    """Nothing is wrong with what the damaged files are made from."""
    assert {"sample", "mpeg4", "h264", "h264-b", "mpeg2"} <= {piece.label for piece in material}
    for number, piece in enumerate(material):
        path = tmp_path / f"{number}.{piece.suffix}"
        path.write_bytes(piece.content)
        verdict = examine(path)
        assert verdict.outcome == FRAMES, f"{piece.label}: {verdict.what}"
        assert verdict.gops >= 2


def test_a_seed_and_a_number_make_the_same_file(material):
    again = gather_material()
    assert [piece.sha256 for piece in material] == [piece.sha256 for piece in again]
    files = [make_file(material, 5, number) for number in range(80)]
    assert files == [make_file(again, 5, number) for number in range(80)]
    assert len({file.content for file in files}) > 70
    assert {wound for file in files for wound in file.damage.split("+")} == set(DAMAGES)
    assert files[0].content != make_file(material, 6, 0).content


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_damage_of_any_file_leaves_a_file(damage):
    """Down to a single byte."""
    for length in (1, 2, 5, 3000):
        for seed in range(30):
            chance = random.Random(seed)
            assert damage_bytes(bytearray(chance.randbytes(length)), damage, chance, chance.randbytes(50))


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_gives_frames_or_our_error(material, tmp_path, data):
    """As the run above, but Hypothesis chooses, and shrinks what fails."""
    small = [piece for piece in material if len(piece.content) < 20_000]
    piece = data.draw(st.sampled_from(small))
    content = bytearray(piece.content)
    places = st.integers(0, len(content) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=30)):
        content[place] = value
    begin, length = data.draw(places), data.draw(st.integers(0, 2000))
    if data.draw(st.booleans()):
        del content[begin : begin + length]
    path = tmp_path / f"damaged.{piece.suffix}"
    path.write_bytes(content or b"\0")
    verdict = examine(path)
    assert verdict.outcome != FAULT, verdict.what


# What the harness must see.


def good_gop():
    rng = np.random.default_rng(0)
    iframe = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    return Gop(iframe, np.zeros((3, 16, 16, 2), np.int16), np.zeros((3, 16, 16, 3), np.int16), True, 0, 0.0)


@pytest.mark.parametrize(
    ("part", "where", "value", "message"),
    [
        ("motion", (1, 4, 5, 0), 6, "points out of the frame"),
        ("residual", (2, 0, 0, 0), 256, "out of 0 to 255"),
        ("residual", (2, 0, 0, 0), 1, None),
    ],
)
def test_a_broken_identity_is_a_fault(tmp_path, monkeypatch, part, where, value, message):
    """A wrong value in one form; the last one only shows where the two forms are compared."""
    gop = good_gop()
    gop.iframe[0, 0, 0] = 10
    wrong = getattr(gop, part).copy()
    wrong[where] = value
    broken = replace(gop, **{part: wrong})
    monkeypatch.setattr(fuzz_worker, "read_gops", lambda path, accumulated=True: iter([broken if accumulated else gop]))
    verdict = examine(tmp_path)
    assert verdict.outcome == FAULT and (message or "raw and accumulated form differ") in verdict.what


@pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), HybridCvarError("not a video's", "rule", "remedy")])
@pytest.mark.parametrize("entry", ["read_gops", "probe_video", "read_clips"])
def test_another_exception_is_a_fault(sample, monkeypatch, error, entry):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(fuzz_worker, entry, fail)
    verdict = examine(sample)
    assert verdict.outcome == FAULT and type(error).__name__ in verdict.what


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (VideoError("what", "rule", "remedy"), "VideoError"),
        (VideoError("two\nlines", "rule"), FAULT),
        (VideoError("what"), FAULT),
    ],
)
def test_an_error_must_be_one_line_that_says_a_rule(sample, monkeypatch, error, outcome):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(fuzz_worker, "read_gops", fail)
    assert examine(sample).outcome == outcome


ANSWER = 'print(\'{"outcome": "frames", "left_bytes": %d, "peak_bytes": 5}\', flush=True)'


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("os.kill(os.getpid(), 11)", "signal SIGSEGV"),
        ("os._exit(3)", "exit status 3"),
        ("time.sleep(60)", "no end within 1 s"),
        (ANSWER % 2**40, "memory: growth"),
    ],
)
def test_a_worker_that_dies_hangs_or_grows_is_a_fault_and_is_replaced(tmp_path, second, message):
    lines = ["import os, sys, time", "sys.stdin.readline()", ANSWER % 1000, "sys.stdin.readline()", second]
    script = "\n".join([*lines, "sys.stdin.readline()"])
    worker = Worker(tmp_path, FuzzLimits(seconds=1), (sys.executable, "-c", script))
    file = HostileFile(0, "x", "x", "avi", b"x")
    try:
        assert worker.examine(file).outcome == FRAMES
        verdict = worker.examine(file)
        assert verdict.outcome == FAULT and message in verdict.what
        assert worker.examine(file).outcome == FRAMES
    finally:
        worker.close()
    assert not list(tmp_path.glob("*.avi"))


def test_a_fault_reaches_the_result(material):
    verdict = fuzz_worker.Verdict(FAULT, "boom")
    run = FuzzRun(9, material, FuzzLimits(), (Finding(3, "mpeg4", "flip", verdict),), 1.0)
    result = fuzz_result(run)
    assert result.value == 1 and result.detail["met"] is False
    assert result.detail["faults"][0] | {"seconds": 0} == {
        "seed": 9, "number": 3, "material": "mpeg4", "damage": "flip", "seconds": 0, "what": "boom"
    }  # fmt: skip


# Sizes beyond any frame.


def claim_in_avi(content, side):
    """In AVI's headers and in its stream format."""
    out = bytearray(content)
    at = out.find(b"avih") + 8 + 32
    out[at : at + 8] = struct.pack("<II", side, side)
    at = out.find(b"strf") + 8 + 4
    out[at : at + 8] = struct.pack("<ii", side, side)
    return bytes(out)


def claim_in_mp4(content, side):
    """In the track's header and in the sample's description."""
    out = bytearray(content)
    at = out.find(b"tkhd") + 4 + 76
    out[at : at + 8] = struct.pack(">II", side << 16, side << 16)
    at = out.find(b"mp4v") + 4 + 24
    out[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(out)


def set_bits(content, at_bit, bits):
    number = int.from_bytes(content, "big")
    shift = len(content) * 8 - at_bit - len(bits)
    mask = ((1 << len(bits)) - 1) << shift
    return ((number & ~mask) | (int(bits, 2) << shift)).to_bytes(len(content), "big")


def claim_in_vol(content, side):
    """In every MPEG-4 video object layer (ISO/IEC 14496-2, 6.2.3), whose 13 bits can say 8191 at most."""
    side = min(side, 8191)
    out = content
    at = out.find(b"\0\0\1\x20")
    assert at >= 0
    while at >= 0:
        # Found by what is there: marker 1, width 98 in 13 bits, marker 1, height 66 in 13 bits, marker 1.
        there = f"1{98:013b}1{66:013b}1"
        bits = f"{int.from_bytes(out[at : at + 40], 'big'):0320b}"
        out = set_bits(out, at * 8 + bits.index(there), f"1{side:013b}1{side:013b}1")
        at = out.find(b"\0\0\1\x20", at + 4)
    return out


def exp_golomb(value):
    return f"{value + 1:b}".zfill(2 * (value + 1).bit_length() - 1)


def claim_in_sps(content, side):
    """In H.264's sequence parameter set (ITU-T H.264, 7.3.2.1), which takes the place of the file's own."""
    bits = f"{66:08b}" + "0" * 8 + f"{40:08b}"  # baseline, no constraints, level 4
    for value in (0, 0, 2, 1):  # id, bits of frame_num, order type 2, one reference
        bits += exp_golomb(value)
    bits += "0" + 2 * exp_golomb(side // 16 - 1) + "1" + "1" + "0" + "0" + "1"
    bits = bits.ljust(-(-len(bits) // 8) * 8, "0")
    unit = b"\x67" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    unit = unit.replace(b"\0\0\0", b"\0\0\3\0").replace(b"\0\0\1", b"\0\0\3\1")
    parts = content.split(b"\0\0\1")
    assert sum(part[:1] == b"\x67" for part in parts) > 1
    return b"\0\0\1".join(unit if part[:1] == b"\x67" else part for part in parts)


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """One process for all, so that only the first case pays for its start."""
    one = Worker(tmp_path_factory.mktemp("claims"), FuzzLimits(seconds=SECONDS))
    yield one
    one.close()


@pytest.mark.parametrize(
    ("codec", "container", "suffix", "claim", "refused"),
    [
        # The container's word counts where the stream has none of its own.
        ("rawvideo", "avi", "avi", claim_in_avi, True),
        ("mpeg4", "avi", "avi", claim_in_avi, False),
        ("mpeg4", "mp4", "mp4", claim_in_mp4, False),
        ("mpeg4", "avi", "avi", claim_in_vol, True),
        ("mpeg4", "mp4", "mp4", claim_in_vol, True),
        ("mpeg4", "m4v", "m4v", claim_in_vol, True),
        ("libx264", "h264", "h264", claim_in_sps, True),
    ],
)
@pytest.mark.parametrize("side", [60000, 16000])
def test_a_claim_of_a_huge_frame_takes_no_memory(
    worker, encode, pictures, codec, container, suffix, claim, refused, side
):
    """16000x16000 is within FFmpeg's own limit, and would be 384 MB a frame."""
    whole = encode(pictures, codec=codec, container=container)
    claimed = claim(whole, side)
    assert claimed != whole
    base = worker.examine(HostileFile(0, "", "", suffix, whole))
    verdict = worker.examine(HostileFile(1, "", "", suffix, claimed))
    assert base.outcome == FRAMES, base.what
    assert verdict.outcome != FAULT and (verdict.outcome != FRAMES) == refused, verdict.what
    assert verdict.seconds < SECONDS and verdict.peak_bytes - base.left_bytes < GROWTH_BYTES
