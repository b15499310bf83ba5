"""Bits of a header, read in order: fixed length, Exp-Golomb, and the bytes that H.264 puts in against start codes."""

__all__ = ["BitReader", "HeaderError", "unescape"]

# Longer prefixes code numbers of more than 32 bits, which no syntax element has (ISO/IEC 14496-10, 9.1).
LONGEST_GOLOMB_PREFIX = 32


class HeaderError(Exception):
    """A header ends too soon or holds a value that the standard forbids; it never leaves this package."""


class BitReader:
    """Reads a bounded piece of a bit stream, most significant bit first.

    Args:
        data: the piece; nothing beyond it is read.

    The bits are held as a string of 0 and 1: cutting from it costs the same wherever the position is, which a
    shift of one long integer does not.
    """

    __slots__ = ("_bits", "_length", "_position")

    def __init__(self, data: bytes) -> None:
        self._bits = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}" if data else ""
        self._length = len(self._bits)
        self._position = 0

    @property
    def remaining(self) -> int:
        """Bits not yet read."""
        return self._length - self._position

    def bits(self, count: int) -> int:
        """The next `count` bits (at least one) as an unsigned number, u(n).

        Raises:
            HeaderError: fewer are left.
        """
        start = self._position
        end = start + count
        if end > self._length:
            raise HeaderError("the header ends too soon")
        self._position = end
        return int(self._bits[start:end], 2)

    def flag(self) -> bool:
        """The next bit.

        Raises:
            HeaderError: none is left.
        """
        position = self._position
        if position >= self._length:
            raise HeaderError("the header ends too soon")
        self._position = position + 1
        return self._bits[position] == "1"

    def skip(self, count: int) -> None:
        """Pass over `count` bits.

        Raises:
            HeaderError: fewer are left.
        """
        if count > self.remaining:
            raise HeaderError("the header ends too soon")
        self._position += count

    def unsigned(self, most: int = (1 << 32) - 2) -> int:
        """The next Exp-Golomb code as an unsigned number, ue(v) (ISO/IEC 14496-10, 9.1).

        Args:
            most: largest value that is allowed here.

        Raises:
            HeaderError: the code is cut off, or its value is larger.
        """
        start = self._position
        one = self._bits.find("1", start)
        end = 2 * one - start + 1
        if one < 0 or end > self._length:
            raise HeaderError("the header ends too soon")
        if one - start > LONGEST_GOLOMB_PREFIX:
            raise HeaderError("an Exp-Golomb code is too long")
        self._position = end
        value = int(self._bits[one:end], 2) - 1
        if value > most:
            raise HeaderError(f"a value of {value} where {most} is the most")
        return value

    def signed(self) -> int:
        """The next Exp-Golomb code as a signed number, se(v) (ISO/IEC 14496-10, 9.1.1).

        Raises:
            HeaderError: the code is cut off.
        """
        code = self.unsigned()
        return (code + 1) >> 1 if code & 1 else -(code >> 1)


def unescape(data: bytes) -> bytes:
    """A NAL unit's payload without the emulation prevention bytes (ISO/IEC 14496-10, 7.4.1: 00 00 03 -> 00 00)."""
    return data.replace(b"\0\0\3", b"\0\0")
