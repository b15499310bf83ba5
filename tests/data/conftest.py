"""Tiny real videos, and datasets in the official layouts that are made of links to them."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import numpy as np
import pytest


def encode(path: Path, codec: str, options: dict[str, str]) -> Path:
    """14 frames of 64x48 with a bright square that moves to the right."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.options = options
        for step in range(14):
            picture = np.full((48, 64, 3), 60, np.uint8)
            picture[10:26, 4 + 2 * step : 20 + 2 * step] = (220, 160, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def sources(tmp_path_factory) -> dict[str, Path]:
    """A real video by extension: MPEG-4 in .avi, VP9 in .webm."""
    folder = tmp_path_factory.mktemp("sources")
    avi = encode(folder / "a.avi", "mpeg4", {"g": "12", "bf": "0"})
    webm = encode(folder / "a.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"})
    return {".avi": avi, ".mp4": avi, ".webm": webm}


@pytest.fixture(scope="session")
def put(sources) -> Callable[..., None]:
    """(folder, names): a video under each name; of the codec that its extension says."""

    def put(folder: Path, *names: str) -> None:
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(sources[target.suffix], target)
            except OSError:  # another file system
                shutil.copyfile(sources[target.suffix], target)

    return put


@pytest.fixture(scope="session")
def write() -> Callable[[Path, Iterable[str]], Path]:
    """(path, lines): a text file."""

    def write(path: Path, lines: Iterable[str]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write


@pytest.fixture
def ucf(tmp_path, put, write) -> Path:
    """Three classes, not in alphabetical order; one folder's files are spelt otherwise than the folder."""
    root = tmp_path / "ucf"
    put(
        root / "UCF-101",
        "YoYo/v_YoYo_g01_c01.avi",
        "YoYo/v_YoYo_g08_c01.avi",
        "YoYo/v_YoYo_g08_c02.avi",
        "HandstandPushups/v_HandStandPushups_g01_c01.avi",
        "HandstandPushups/v_HandStandPushups_g08_c01.avi",
        "Archery/v_Archery_g08_c01.avi",
        "Archery/v_Archery_g01_c01.avi",
    )
    lists = root / "ucfTrainTestlist"
    write(lists / "classInd.txt", ["1 YoYo", "2 HandstandPushups", "3 Archery"])
    write(
        lists / "trainlist01.txt",
        [
            "YoYo/v_YoYo_g08_c01.avi 1",
            "YoYo/v_YoYo_g08_c02.avi 1",
            "HandstandPushups/v_HandStandPushups_g08_c01.avi 2",
            "Archery/v_Archery_g08_c01.avi 3",
        ],
    )
    write(
        lists / "testlist01.txt",
        [
            "YoYo/v_YoYo_g01_c01.avi",
            "HandstandPushups/v_HandStandPushups_g01_c01.avi",
            "Archery/v_Archery_g01_c01.avi",
        ],
    )
    write(lists / "trainlist03.txt", ["Archery/v_Archery_g01_c01.avi 3"])
    return root


@pytest.fixture
def kinetics(tmp_path, put, write) -> Path:
    """Quoted labels; clips in class folders (train), flat (validate) and by the id alone (test)."""
    root = tmp_path / "kinetics"
    head = "label,youtube_id,time_start,time_end,split,is_cc"
    write(
        root / "train.csv",
        [
            head,
            '"zumba",-Axx_Yzz012,5,15,train,0',
            '"shaking hands",bbbbbbbbbbb,10,20,train,0',
            "abseiling,ccccccccccc,0,10,train,1",
            '"massaging person\'s head",ddddddddddd,7,17,train,0',
            "abseiling,gonegonegon,1,11,train,0",
        ],
    )
    put(
        root / "train",
        "zumba/-Axx_Yzz012_000005_000015.mp4",
        "shaking_hands/bbbbbbbbbbb_000010_000020.mp4",
        "abseiling/ccccccccccc_000000_000010.mp4",
        "massaging person's head/ddddddddddd_000007_000017.mp4",
    )
    write(root / "validate.csv", [head, '"shaking hands",eeeeeeeeeee,3,13,val,0', "surfing,fffffffffff,3,13,val,0"])
    put(root / "val", "eeeeeeeeeee_000003_000013.mp4", "fffffffffff_000003_000013.mp4")
    write(
        root / "test.csv", ["youtube_id,time_start,time_end,split,label", "ggggggggggg,1,11,test,", "h,2,12,test,zumba"]
    )
    put(root / "test", "ggggggggggg.mp4", "h.webm")
    return root
