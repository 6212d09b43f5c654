#!/usr/bin/env python3
"""Writes the inputs of scripts/detect.sh: for each program one for each bug, and one without.

usage: inputs.py DIRECTORY     the inputs are DIRECTORY/inputs/PROGRAM/BUG
"""
import os
import struct
import sys


def record(kind, data=b""):
    return kind + struct.pack("<H", len(data)) + data


def lzw(pixels, width):
    """Pixels as a GIF has them, in codes that are never compressed: the table is cleared before the codes grow."""
    clear = 1 << width
    codes, since = [clear], 0
    for pixel in pixels:
        codes.append(pixel)
        since += 1
        if since == clear - 2:
            codes.append(clear)
            since = 0
    codes.append(clear + 1)
    bits = sum(code << (width + 1) * i for i, code in enumerate(codes))
    data = bits.to_bytes(((width + 1) * len(codes) + 7) // 8, "little")
    parts = [data[i:i + 255] for i in range(0, len(data), 255)]
    return bytes([width]) + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def gif(colour_bits=8, control=b"\0\5\0\0"):
    """8 by 8 pixels of up to 200, with a colour map of 2 ** colour_bits."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0xF0 | (colour_bits - 1), 0, 0) + bytes(3 << colour_bits)
    extension = b"!\xf9" + bytes([len(control)]) + control + b"\0"
    image = b"," + struct.pack("<HHHHB", 0, 0, 8, 8, 0) + lzw([i * 3 % 200 for i in range(64)], 8)
    return screen + extension + image + b";"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    v, x, d = record(b"v", b"abc"), record(b"x"), record(b"d")
    xml = "<?xml version='1.0'?>\n<{0}>{1}<part/></{0}>\n"
    inputs = {
        "parser/clean": record(b"n", b"name") + v + x + record(b"t", b"text") + record(b"p", struct.pack("<H", 16)),
        "parser/overflow-by-1": record(b"n", b"n" * 40),
        "parser/write-after-free": d + v + x + v,
        "parser/double-free": d + v + x + x,
        "parser/interior-free": record(b"t", b"   text"),
        "parser/large-over-read": record(b"p", struct.pack("<H", 9000)),
        "gif2rgb/clean": gif(),
        "gif2rgb/over-read": gif(colour_bits=1),
        "giftool/clean": gif(),
        "giftool/overflow-by-3": gif(control=b"\0"),
        "mxml/clean": xml.format("whole", "text").encode(),
        "mxml/overflow": xml.format("n" * 67, "text").encode(),
        "mxml/use-after-free": xml.format("whole", "<one name='value'/>").encode(),
        "mxml/double-free": xml.format("whole", "%text").encode(),
    }
    for name, data in inputs.items():
        path = os.path.join(sys.argv[1], "inputs", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(data)


main()
