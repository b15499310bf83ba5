"""Writes H.264 streams field by field, for what no encoder here writes."""

import re

from hybrid_cvar.video.bitstream import CodedPicture, PictureType, header_reader


def ue(value):
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def se(value):
    return ue(2 * value - 1 if value > 0 else -2 * value)


def nal(first_byte, bits):
    """An Annex B NAL unit; trailing bits and emulation prevention are added."""
    bits += "1" + "0" * (-(len(bits) + 1) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return b"\0\0\0\1" + bytes([first_byte]) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)


def sps(
    *, references=1, order=2, gaps=0, frames_only=1, adaptive=0, number=0, cycle=(), always_zero=0, profile=66, crop=()
):
    bits = f"{profile:08b}" + "0" * 8 + f"{30:08b}" + ue(number)
    bits += ue(0)  # frame_num has 4 bits
    bits += ue(order)
    if order == 0:
        bits += ue(0)  # pic_order_cnt_lsb has 4 bits
    elif order == 1:
        bits += str(always_zero) + se(-1) + se(1) + ue(len(cycle)) + "".join(map(se, cycle))
    bits += ue(references) + str(gaps) + ue(3) + ue(3) + str(frames_only)
    cropping = "1" + "".join(map(ue, crop)) if crop else "0"
    return nal(0x67, bits + ("" if frames_only else str(adaptive)) + f"1{cropping}0")


def pps(*, number=0, sequence=0, bottom=0, groups=0, active=1, weighted=0, bipred=0, redundant=0):
    bits = ue(number) + ue(sequence) + "0" + str(bottom) + ue(groups)
    if groups:
        return nal(0x68, bits + ue(0) + ue(3) + ue(3))
    return nal(0x68, bits + ue(active - 1) + ue(0) + str(weighted) + f"{bipred:02b}" + se(0) * 3 + f"00{redundant}")


SLICE_TYPES = {"P": 0, "B": 1, "I": 2, "SP": 3, "SI": 4}


class HandMade:
    """Slices of one stream, with only the fields that a test is about."""

    def __init__(self, *, bottom=0, weighted=0, bipred=0, groups=0, redundant=0, pps_active=1, **sequence):
        self.settings = {"order": 2, "frames_only": 1} | sequence
        self.bottom, self.weighted, self.with_redundant = bottom, weighted, redundant
        self.sequence = sps(**self.settings)
        self.picture = pps(
            bottom=bottom, weighted=weighted, bipred=bipred, groups=groups, redundant=redundant, active=pps_active
        )
        self.reader = header_reader("h264", self.sequence + self.picture)

    def slice(self, kind, frame_num, **options):
        o = {"idr": False, "ref": 1, "first": 0, "pps": 0, "field": None, "lsb": 0, "deltas": (), "redundant": 0}
        o |= {"active": None, "modify": (), "marking": None, "weights": "", "long_idr": 0, "nal_type": 1} | options
        bits = ue(o["first"]) + ue(SLICE_TYPES[kind]) + ue(o["pps"]) + f"{frame_num % 16:04b}"
        if not self.settings["frames_only"]:
            bits += "0" if o["field"] is None else f"1{o['field']}"
        bits += ue(0) if o["idr"] else ""
        bits += f"{o['lsb'] % 16:04b}" if self.settings["order"] == 0 else ""
        bits += "".join(map(se, o["deltas"]))
        bits += ue(o["redundant"]) if self.with_redundant else ""
        bits += "1" if kind == "B" else ""
        if kind in ("P", "B", "SP"):
            bits += "0" if o["active"] is None else "1" + ue(o["active"] - 1) + (ue(0) if kind == "B" else "")
            bits += "1" + "".join(ue(c) + ue(v) for c, v in o["modify"]) + ue(3) if o["modify"] else "0"
            bits += ("0" if kind == "B" else "") + o["weights"]
        if o["ref"]:
            if o["idr"]:
                bits += f"0{o['long_idr']}"
            elif o["marking"] is None:
                bits += "0"
            else:
                bits += "1" + "".join("".join(map(ue, operation)) for operation in o["marking"]) + ue(0)
        kind_of_unit = 5 if o["idr"] else o["nal_type"]
        return nal(o["ref"] << 5 | kind_of_unit, bits + "10" * 40)

    def read(self, kind, frame_num, **options):
        return self.reader.read(self.slice(kind, frame_num, **options))

    def start(self):
        assert self.read("I", 0, idr=True) == CodedPicture(PictureType.INTRA, True)
        return self
