"""Seeds of pictures: those of the golden files, of each format and kind, whole, cut and changed; and broken ones that no
encoder writes."""
import json
import os
import struct
import zlib

from seeds_common import GOLDEN

MOST = 4000  # bytes of a seed


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height):
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(3 * width)) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b""))


def bmp(width, height):
    row = (3 * width + 3) // 4 * 4
    return (b"BM" + struct.pack("<IHHI", 54 + row * height, 0, 0, 54) +
            struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, row * height, 0, 0, 0, 0) + bytes(row * height))


def tga(kind, rows):
    return bytes([0, 0, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 24, 0]) + rows


def gif(width, height):
    return (b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255]) +
            b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0;")


def riff(*chunks):
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def exif(orientation):
    return b"II*\0" + struct.pack("<IHHHII4x", 8, 1, 274, 3, 1, orientation)


def webp():
    one = bytes.fromhex("2f00000010071011118888080700")  # a lossless picture of one pixel
    yield riff((b"VP8L", one))
    yield riff((b"VP8X", bytes([8]) + bytes(9)), (b"VP8L", one), (b"EXIF", exif(6)))
    frame = bytes(12) + struct.pack("<I", 10) + b"VP8L" + struct.pack("<I", len(one)) + one
    yield riff((b"VP8X", bytes([2]) + bytes(9)), (b"ANIM", bytes(6)), (b"ANMF", frame))


def tiff(order, photometric, compression, body, *more, bits=8):
    entries = [(256, 4), (257, 2), (258, bits), (259, compression), (262, photometric), (273, 8), (277, 1), (278, 2),
               (279, len(body)), *more]
    entries = sorted(dict(entries).items())  # one that is given again takes the place of the first
    directory = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) if value > 65535 else struct.pack(order + "HHIH2x", tag, 3, 1, value) for tag, value in entries)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(body))
    return head + body + struct.pack(order + "H", len(entries)) + directory + bytes(4)


def golden():
    """The files in pictures.safetensors and images.safetensors, by name."""
    for name in ("pictures", "images"):
        with open(os.path.join(GOLDEN, name + ".safetensors"), "rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
            data = file.read()
        for key, tensor in sorted(header.items()):
            begin, end = tensor.get("data_offsets", (0, 0))
            if key.startswith(("file.", "refused.")) and end - begin <= MOST:
                yield key, data[begin:end]


def damaged():
    """One of each format, cut at three places and changed at three."""
    seen = set()
    for name, body in golden():
        kind = name.split(".")[-1].split("_")[0]
        if kind in seen:
            continue
        seen.add(kind)
        for share in (0.1, 0.5, 0.95):
            at = int(share * len(body))
            yield body[:at]
            yield body[:at] + bytes([body[at] ^ 0x55]) + body[at + 1:]


def png_of(header, pixels=None, *more, end=True):
    """header: width, height, bits, colour type, interlaced. pixels: unpacked, or packed where they are a list of chunks."""
    width, height, bits, kind, interlaced = header
    chunks = pixels if isinstance(pixels, list) else [zlib.compress(pixels or b"")]
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)) + b"".join(more) +
            b"".join(png_chunk(b"IDAT", c) for c in chunks) + (png_chunk(b"IEND", b"") if end else b""))


def pngs():
    grey = (4, 2, 8, 0, 0)
    whole = png_of(grey, b"\0abcd\0efgh")
    yield whole
    yield whole[:20]
    yield whole.replace(b"IHDR", b"CgBI")
    yield whole[:-20] + b"\1" + whole[-19:]
    yield png_of(grey, b"\0abcd\0efgh", end=False)
    yield png_of((9, 9, 8, 2, 1), bytes(400))
    yield png_of((3, 1, 1, 0, 1), bytes(9))
    for size in ((0, 4), (1 << 31, 1), (20000, 20000), (3000, 1000), (1 << 30, 1 << 30)):
        yield png_of(size + (8, 0, 0), b"\0" * 9)
    packed = zlib.compress(bytes(2 << 20))  # more than the header says, and than is spared
    yield png_of((1000, 1000, 8, 0, 0), [packed])
    yield png_of((1000, 3000, 8, 0, 0), [packed])
    yield png_of((1000, 2000, 8, 0, 0), [packed[:900], packed[900:]])
    yield png_of((1000, 3000, 8, 6, 0), [packed[:1000] + b"\xff" * 1000])
    yield png_of((1000, 3000, 8, 6, 0), [b"\x78\xbb\0\0\0\1" + packed[2:]])
    yield png_of((1000, 3000, 16, 4, 1), [packed, b"x"])
    yield png_of((4, 2, 16, 0, 0), b"\0" * 18)
    yield png_of((4, 2, 3, 0, 0), b"\0" * 18)
    yield png_of((4, 2, 8, 5, 0), b"\0" * 18)
    yield png_of(grey, b"\0abcd\0efgh", png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='6'/><tiff:Orientation>3</tiff:Orientation>"))
    yield png_of(grey, b"\0abcd\0efgh", png_chunk(b"eXIf", exif(6)[:20]), png_chunk(b"eXIf", b"Exif\0\0" + exif(5)))
    yield png_of(grey, b"\0abcd\0efgh", png_chunk(b"PLTE", b"abc"), png_chunk(b"tRNS", b"ab"))


def jpegs():
    jpeg = dict(golden())["file.turned-grey.jpg"]
    at = jpeg.index(b"\xff\xc0")  # the frame's header: its length, bits, height, width, components
    yield jpeg[:2] + b"\xff\xff\xff" + jpeg[2:]
    yield jpeg[:at + 5] + b"\xff\xff\xff\xff" + jpeg[at + 9:]
    yield jpeg[:at + 5] + b"\0\0" + jpeg[at + 7:]
    yield jpeg[:at + 4] + b"\14" + jpeg[at + 5:]
    yield jpeg[:at + 9] + b"\2" + jpeg[at + 10:]
    yield jpeg[:at + 1] + b"\xcb" + jpeg[at + 2:]
    yield jpeg[:at + 2] + b"\0\1" + jpeg[at + 4:]
    yield jpeg[:-30] + jpeg[-2:]
    yield jpeg[:-2] + b"\xff\xd3\xff\xd9"
    yield jpeg[:2] + b"\xff\xd9"
    yield jpeg[:2] + b"\xff\xe1\0\1" + jpeg[2:]
    yield jpeg[:2] + b"\xff\xe1\0\x08Exif\0\0" + jpeg[2:]
    scan = b"\xff\xda\0\x08\1\1\0\0\x3f\0"
    yield dict(golden())["file.jpeg_progressive_422"][:-2] + scan * 300 + b"\xff\xd9"


def others():
    yield b"P5 0 1 255\n"
    yield b"P5 2 1 256\nabcd"
    yield b"P6 1 1 70000\nabc"
    yield b"P6 99999999999 2 255\nabc"
    yield b"P6 60000 60000 1\n"
    yield b"P2 2 1 9 1 x"
    yield b"P2 2 1 9 1 10"
    yield b"P2 2 1 9 1"
    yield b"P1 2 1 12"
    yield b"P3 # a comment\r1 1 # another"
    yield b"P6"
    for width, height in ((0, 1), (1, -1), (200000000, 1), (20000, 20000), (-5, 2)):
        yield bmp(3, 2)[:18] + struct.pack("<ii", width, height) + bmp(3, 2)[26:]
    yield b"BM" + struct.pack("<IHHIIHHHH", 40, 0, 0, 26, 12, 2, 2, 1, 24) + bytes(16)
    yield bmp(3, 2)[:28] + b"\1\0" + bmp(3, 2)[30:]
    yield bmp(3, 2)[:10] + b"\xff\xff" + bmp(3, 2)[12:]
    yield b"BM"
    two = tga(2, bytes(12))
    yield two[:3] + b"\1" + two[4:]
    yield bytes([0, 1, 1, 1, 0, 2, 0, 24]) + two[8:16] + b"\x08\0" + bytes(10)
    yield bytes([0, 1, 1, 0, 0, 2, 0, 24]) + two[8:16] + b"\x08\0" + bytes(10)
    yield bytes([0, 1, 9, 0, 0, 2, 0, 32]) + two[8:16] + b"\x08\x20" + bytes(8) + b"\x83\1"
    yield tga(3, bytes(12))
    yield tga(10, b"\x82\1\2\3")
    yield tga(10, b"\2\1\2\3")
    yield two[:-1]
    yield b"\0\0\2"
    yield b"RIFF\4\0\0\0WEBP"
    yield riff((b"VP8X", bytes([8]) + bytes(9)))
    yield riff((b"VP8X", bytes([2, 0, 0, 0]) + b"\xff" * 6), (b"ANIM", bytes(6)))
    yield riff((b"VP8L", b"\x2f\0\0\0\0\7"))
    yield riff((b"VP8 ", bytes(10)))
    yield riff((b"VP8L", bytes.fromhex("2f0000000107")), (b"EXIF", exif(6)), (b"XMP ", b"tiff:Orientation=\"7\""))
    yield riff((b"XXXX", b"abc"))
    for flags in (0x81, 0, 0x40):
        yield gif(3, 2)[:10] + bytes([flags]) + gif(3, 2)[11:]
    yield gif(3, 2)[:-8]
    yield gif(0, 0)[:24] + bytes(4) + gif(0, 0)[28:]
    yield gif(3, 2)[:19] + b"!\xf9\4\1\0\0\1\0!\xfe\2ab\0" + gif(3, 2)[19:]
    yield gif(3, 2).replace(b"\2\2\x44\1\0;", b"\x0b\2\x44\1\0;")
    yield gif(3, 2).replace(b"\2\2\x44\1\0;", b"\2\1\x05\0;")
    yield gif(3, 2).replace(b"\2\2\x44\1\0;", b"\2\1\x2c\0;")
    yield gif(3, 2).replace(b"\2\2\x44\1\0;", b"\2\1\x07\0;")
    yield gif(60000, 60000)
    yield gif(3, 2).replace(b",\0\0\0\0\1\0\1\0", b",\0\0\0\0\0\0\1\0")


def tiffs():
    for sizes in ((0, 2), (1 << 30, 2), (200000000, 200000000), (20000, 20000)):
        yield tiff("<", 1, 1, bytes(8), (256, sizes[0]), (257, sizes[1]))
    yield tiff("<", 3, 1, bytes(8))  # a palette that is not there
    yield tiff("<", 1, 1, bytes(256), (322, 16), (323, 0), (324, 8), (325, 256))
    yield tiff("<", 1, 1, bytes(256), (322, 60000), (323, 60000), (324, 8), (325, 256))
    yield tiff("<", 1, 1, bytes(4))
    yield tiff("<", 1, 6, bytes(8))
    yield tiff("<", 1, 7, bytes(8))
    yield tiff("<", 2, 1, bytes(24), (277, 3), (284, 2))
    yield tiff("<", 2, 1, bytes(24), (277, 9))
    yield tiff("<", 5, 1, bytes(32), (277, 4), (284, 2))
    yield tiff("<", 2, 1, bytes(32), (277, 4), (338, 1))
    yield b"II*\0" + struct.pack("<I", 8)
    yield b"II*\0" + struct.pack("<IH", 8, 0) + bytes(4)
    yield b"II+\0" + struct.pack("<HHQ", 8, 0, 16)


def image():
    for _, body in golden():
        yield body
    for kind in (damaged, pngs, jpegs, others, tiffs):
        yield from kind()
    yield from webp()
    yield tiff("<", 1, 1, bytes(range(8)))
    yield tiff(">", 0, 32773, bytes([0xFD, 7, 3, 1, 2, 3, 4]), (274, 6))
    yield tiff("<", 1, 8, zlib.compress(bytes(range(8))))
    yield tiff("<", 1, 5, bytes.fromhex("800000202018100a0603c040"))
    yield tiff("<", 1, 1, bytes(256), (322, 16), (323, 16), (324, 8), (325, 256))
    yield tiff("<", 1, 1, bytes(12), bits=12)
    yield tiff("<", 1, 1, bytes(6), bits=5)
    yield tiff("<", 1, 1, bytes(4), bits=4)
    yield b"\x89PNG\r\n\x1a\n" + png(4, 2)[8:33] + png_chunk(b"eXIf", exif(8)) + png(4, 2)[33:]
    yield b"P1 3 2 1 0 1\n# a comment\n011"
    yield b"P3 1 2 9 1 2 3 4 5 6"
    yield b"P4 9 1\n\x55\x80"
    yield png(5, 3)
    yield bmp(3, 2)
    yield gif(3, 2)
    yield b"P6 2 2 255\n" + bytes(range(12))
    yield b"P5 3 1 255\n\1\2\3"
    yield tga(2, bytes(12))
    yield tga(10, b"\x82\1\2\3\0\4\5\6")
    yield b""
    yield b"nothing"


SEEDS = {"fuzz_image": image}
