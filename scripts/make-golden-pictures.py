#!/usr/bin/env python3
"""Makes tests/golden/pictures.safetensors: small files of each format, and the pixels that a model in transformers sees of
them: ImageOps.exif_transpose(picture).convert("RGB"), which is what transformers' load_image does.

Needs pillow, numpy, safetensors, and tiffcp (libtiff-tools) for tiles and planes, webpmux and cwebp (webp) for animations.
Run from anywhere; the file is the same bytes for the same versions.

Tensors (U8): file.<name>, an encoded picture; pixels.<name>, [H, W, 3]; refused.<name>, files that the program does not
read. Names end in the file's extension.
Metadata `facts` is a JSON object: the versions.
"""
import io
import json
import pathlib
import struct
import subprocess
import tempfile
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps, features
from safetensors.numpy import save_file

WIDTH, HEIGHT = 8, 5


def picture(rng, bands):
    """Smooth with an edge; no two corners alike, so that every turn shows."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [(x * (7 + 5 * c) + y * (11 - 4 * c) + rng.integers(0, 9, x.shape)) % 256 for c in range(bands)]
    return np.stack(planes, -1).astype(np.uint8)


def orientation_block(value, order=b"II", kind=3, more=0):
    """A TIFF of a directory with the orientation, behind `more` other entries."""
    e = "<" if order == b"II" else ">"
    size = {1: "B3x", 3: "H2x", 4: "I"}[kind]
    entries = b"".join(struct.pack(e + "HHIH2x", 256 + i, 3, 1, 7) for i in range(more))
    entries += struct.pack(e + "HHI" + size, 274, kind, 1, value)
    return order + struct.pack(e + "HI", 42, 8) + struct.pack(e + "H", more + 1) + entries + bytes(4)


def xmp(value, attribute=True):
    said = f'<rdf:Description tiff:Orientation="{value}"/>' if attribute else f"<tiff:Orientation>{value}</tiff:Orientation>"
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{said}</x:xmpmeta>'.encode()


def encoded(image, **options):
    stream = io.BytesIO()
    image.save(stream, **options)
    return stream.getvalue()


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg, *segments):
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(png, kind, body, at_end=False):
    at = len(png) - 12 if at_end else 33
    return png[:at] + chunk(kind, body) + png[at:]


def run(program, *arguments):
    subprocess.run([program, *map(str, arguments)], check=True, capture_output=True)


def tool(program, files, *arguments):
    """What `program ARGUMENTS` writes; "@name" is a file of `files`, "@out" the output."""
    with tempfile.TemporaryDirectory() as folder:
        for name, body in files.items():
            (pathlib.Path(folder) / name).write_bytes(body)
        run(program, *[f"{folder}/{a[1:]}" if a.startswith("@") else a for a in arguments])
        return (pathlib.Path(folder) / "out").read_bytes()


def turned(rgb, grey):
    jpeg, png = encoded(rgb, format="JPEG", quality=80, optimize=True), encoded(rgb, format="PNG")
    for value in range(10):
        order = b"MM" if value % 2 else b"II"
        exif = orientation_block(value, order, more=value % 3)
        yield f"turned-{value}.jpg", with_segments(jpeg, segment(0xE1, b"Exif\0\0" + exif))
        if value % 9: # others than 1 to 8 are left alone, by the same code
            yield f"turned-{value}.png", with_chunk(png, b"eXIf", exif)
            yield f"turned-{value}.webp", encoded(rgb, format="WEBP", lossless=True, exif=exif)
        yield f"turned-{value}.tif", encoded(rgb, format="TIFF", tiffinfo={274: value})
    six = orientation_block(6)
    yield "turned-grey.jpg", with_segments(encoded(grey, format="JPEG", optimize=True), segment(0xE1, b"Exif\0\0" + six))
    yield "turned-lossy.webp", encoded(rgb, format="WEBP", quality=70, exif=b"Exif\0\0" + six)
    yield "turned-long.jpg", with_segments(jpeg, segment(0xE1, b"Exif\0\0" + orientation_block(8, kind=4)))
    yield "turned-byte.jpg", with_segments(jpeg, segment(0xE1, b"Exif\0\0" + orientation_block(5, b"MM", kind=1)))
    yield "turned-late.png", with_chunk(png, b"eXIf", six, at_end=True)
    yield "turned-by-xmp.png", with_chunk(png, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3))
    yield "turned-by-xmp.webp", encoded(rgb, format="WEBP", lossless=True, xmp=xmp(7))
    adobe = b"http://ns.adobe.com/xap/1.0/\0"
    yield "turned-by-xmp.jpg", with_segments(jpeg, segment(0xE1, adobe + xmp(8, attribute=False)))
    # EXIF decides where both speak, wherever it stands; without a word on this, XMP does.
    yield "turned-both.jpg", with_segments(jpeg, segment(0xE1, adobe + xmp(3)), segment(0xE1, b"Exif\0\0" + six))
    silent = b"II" + struct.pack("<HIHHHIH2x4x", 42, 8, 1, 256, 3, 1, 7)
    yield "turned-silent.jpg", with_segments(jpeg, segment(0xE1, b"Exif\0\0" + silent), segment(0xE1, adobe + xmp(6)))
    yield "turned-big.tif", encoded(rgb, format="TIFF", tiffinfo={274: 6}, big_tiff=True)


def with_extra_sample(tiff, kind):
    entry = struct.pack("<HHI", 338, 3, 1)
    assert tiff.count(entry) == 1
    return tiff.replace(entry + tiff[tiff.index(entry) + 8 :][:2], entry + struct.pack("<H", kind))


def transparent(rgb, grey, alpha):
    rgba, la = rgb.copy(), grey.copy()
    rgba.putalpha(alpha)
    la.putalpha(alpha)
    indexed = rgb.quantize(15)
    yield "alpha.png", encoded(rgba, format="PNG")
    yield "alpha-grey.png", encoded(la, format="PNG")
    yield "alpha-palette.png", encoded(indexed, format="PNG", transparency=bytes([0, 128, 255, 0, 30]))
    yield "alpha-index.png", encoded(indexed, format="PNG", transparency=3)
    yield "alpha-of-a-level.png", encoded(grey, format="PNG", transparency=int(np.array(grey)[4, 4]))
    yield "alpha-of-a-colour.png", encoded(rgb, format="PNG", transparency=tuple(int(v) for v in np.array(rgb)[4, 4]))
    yield "alpha-lossless.webp", encoded(rgba, format="WEBP", lossless=True, exact=True)
    yield "alpha-lossy.webp", encoded(rgba, format="WEBP", quality=70, exact=True)
    yield "alpha.tif", encoded(rgba, format="TIFF")
    yield "alpha-grey.tif", encoded(la, format="TIFF", compression="tiff_lzw")
    yield "alpha-premultiplied.tif", with_extra_sample(encoded(rgba, format="TIFF"), 1)
    yield "alpha-unspecified.tif", with_extra_sample(encoded(rgba, format="TIFF"), 0)
    yield "alpha.gif", encoded(indexed, format="GIF", transparency=3)
    yield "alpha.bmp", encoded(rgba, format="BMP")
    yield "alpha.tga", encoded(rgba, format="TGA")


def gif(screen, frames, transparent=None, bits=4):
    """Frames of (left, top, index picture, interlaced), LZW by Pillow, on a screen of another size."""
    out = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x7F + bits, 2, 0)
    out += bytes((37 * i + 90 * c) % 256 for i in range(2**bits) for c in range(3))
    for left, top, image, interlaced in frames:
        one = encoded(image, format="GIF", interlace=interlaced, optimize=False)
        at = one.index(b",", 13 + 3 * 2 ** ((one[10] & 7) + 1))
        w, h, flags = struct.unpack("<HHB", one[at + 5 : at + 10])
        assert not flags & 0x80
        if transparent is not None:
            out += b"!\xf9\4" + struct.pack("<BHBB", 1, 0, transparent, 0)
        out += b"!\xfe\3abc\0," + struct.pack("<HHHHB", left, top, w, h, flags & 0x40) + one[at + 10 : -1]
    return out + b";"


def gifs(rng):
    def indices(w, h, colours=16):
        image = Image.fromarray(rng.integers(0, colours, (h, w)).astype(np.uint8), "P")
        image.putpalette([255 - i // 3 for i in range(3 * colours)])
        return image

    whole, part, long = indices(WIDTH, HEIGHT), indices(5, 4), indices(64, 62, 256) # more pairs than there are codes
    yield "plain.gif", gif((WIDTH, HEIGHT), [(0, 0, whole, 0)])
    yield "interlaced.gif", gif((WIDTH, HEIGHT), [(0, 0, whole, 1)])
    yield "animated.gif", gif((WIDTH, HEIGHT), [(0, 0, whole, 0), (2, 2, part, 0)])
    yield "part.gif", gif((WIDTH, HEIGHT), [(2, 1, part, 0)])
    yield "part-transparent.gif", gif((WIDTH, HEIGHT), [(2, 1, part, 1)], transparent=5)
    yield "beyond-the-screen.gif", gif((6, 4), [(2, 1, part, 0)])
    yield "full-dictionary.gif", gif((64, 62), [(0, 0, long, 0)], bits=8)


def webps(rgb, alpha):
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    small = {"a": encoded(rgba.crop((0, 0, 5, 4)), format="WEBP", lossless=True, exact=True),
             "b": encoded(rgb, format="WEBP", quality=80)}
    frames = ["-frame", "@a", "+10+2+0+0+b", "-frame", "@b", "+10+0+0+0+b", "-bgcolor", "255,10,200,30", "-o", "@out"]
    yield "lossless.webp", encoded(rgb, format="WEBP", lossless=True)
    yield "lossy.webp", encoded(rgb, format="WEBP", quality=60)
    yield "animated.webp", tool("webpmux", small, *frames)
    yield "animated-whole.webp", tool("webpmux", small, "-frame", "@b", "+10", "-frame", "@a", "+10", "-o", "@out")


def tiffs(rgb, grey, alpha):
    bits = grey.point(lambda v: 255 * (v > 90)).convert("1")
    inks = Image.merge("CMYK", [*rgb.split(), grey])
    wide = np.array(rgb).astype(np.uint16) * 257 + 60
    plain = encoded(rgb, format="TIFF")
    large = rgb.resize((23, 19), Image.Resampling.BICUBIC)
    for kind in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "group3", "group4"):
        yield f"bits-{kind}.tif", encoded(bits, format="TIFF", compression=kind)
    for kind in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "zstd", "tiff_lzma"):
        yield f"colours-{kind}.tiff", encoded(rgb, format="TIFF", compression=kind)
    yield "jpeg.tif", encoded(large, format="TIFF", compression="jpeg", quality=80)
    yield "jpeg-grey.tif", encoded(grey, format="TIFF", compression="jpeg", quality=80)
    yield "grey.tif", encoded(grey, format="TIFF")
    yield "palette.tif", encoded(rgb.quantize(31), format="TIFF")
    yield "inks.tif", encoded(inks, format="TIFF")
    yield "strips.tif", encoded(large, format="TIFF", compression="tiff_lzw", strip_size=200)
    yield "pages.tif", encoded(rgb, format="TIFF", save_all=True, append_images=[grey])
    yield "white-is-zero.tif", encoded(grey, format="TIFF", tiffinfo={262: 0})
    for name, options in {"tiles": ["-t", "-w", "16", "-l", "32"], "tiles-lzw": ["-t", "-w", "32", "-l", "16", "-c", "lzw:2"],
                          "planes": ["-p", "separate"], "planes-tiles": ["-p", "separate", "-t", "-w", "16", "-l", "16"],
                          "big-endian": ["-B"], "reversed-bits": ["-f", "lsb2msb", "-c", "lzw"], "huge": ["-8"]}.items():
        source = large if "tiles" in name else rgb
        yield f"{name}.tif", tool("tiffcp", {"in": encoded(source, format="TIFF")}, *options, "@in", "@out")
    yield "planes-of-four.tif", tool("tiffcp", {"in": plain_rgba(rgb, alpha)}, "-p", "separate", "-c", "lzw", "@in", "@out")
    for order, name in (("<", "wide.tif"), (">", "wide-big-endian.tif")):
        yield name, raw_tiff(order, wide, 16, 2)
    four = np.array(grey)[:, :8] // 16
    yield "four-bits.tif", raw_tiff("<", (four[:, 0::2] << 4 | four[:, 1::2])[..., None], 4, 1, width=8)
    yield "two-bits.tif", raw_tiff("<", np.array(grey)[:, :3, None], 2, 1, width=12)
    yield "inks-wide.tif", raw_tiff("<", np.array(inks).astype(np.uint16) * 255, 16, 5)


def plain_rgba(rgb, alpha):
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    return with_extra_sample(encoded(rgba, format="TIFF"), 0)


def raw_tiff(order, array, bits, photometric, width=None):
    """One strip of array [H, W, samples] as it is."""
    height, stored, samples = array.shape
    body = array.astype(order + ("u2" if bits == 16 else "u1")).tobytes()
    at_bits, at_body = 8, 8 + 2 * samples
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, at_body + len(body))
    short = lambda tag, value: struct.pack(order + "HHIH2x", tag, 3, 1, value)
    count = struct.pack(order + "HHII", 258, 3, samples, at_bits) if samples > 2 else short(258, bits)
    entries = [short(256, width or stored), short(257, height), count, short(259, 1), short(262, photometric),
               struct.pack(order + "HHII", 273, 4, 1, at_body), short(277, samples), short(278, height),
               struct.pack(order + "HHII", 279, 4, 1, len(body))]
    return head + struct.pack(order + f"{samples}H", *[bits] * samples) + body + struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)


def pnms(rng, rgb, grey):
    numbers = lambda top, n: rng.integers(0, top + 1, n)
    text = lambda values: " ".join(map(str, values)).encode()
    yield "plain-bits.pbm", b"P1\n# bits need no blanks\n5 3\n10110 0 1 0 1 1\n# here too\n00111\n"
    yield "plain-grey.pgm", b"P2 4 3 15\n" + text(numbers(15, 12)) + b"\n"
    yield "plain-colours.ppm", b"P3\n4 2\n1000 # the largest\n" + text(numbers(1000, 24)) + b"\n"
    yield "bits.pbm", b"P4 11 3\n" + bytes([0b10110011, 0b01000000, 0b00011101, 0b11111111, 0xAA, 0xAA])
    yield "grey.pgm", encoded(grey, format="PPM")
    yield "grey-of-a-hundred.pgm", b"P5 10 2 100\n" + bytes(int(v) for v in numbers(100, 20))
    yield "colours.pnm", encoded(rgb, format="PPM")
    yield "colours-wide.ppm", b"P6\n5 2\n65535\n" + numbers(65535, 30).astype(">u2").tobytes()
    yield "colours-of-thirty.ppm", b"P6 5 2 30\n" + bytes(int(v) for v in numbers(30, 30))


def pngs(rng, rgb, grey):
    for bits in (1, 2, 4):
        rows = b"".join(b"\0" + rng.bytes((WIDTH * bits + 7) // 8) for _ in range(HEIGHT))
        yield f"grey-of-{bits}-bits.png", (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, 0, 0, 0, 0)) +
                                            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    for kind, samples in ((2, 3), (4, 2), (6, 4)):
        rows = b"".join(b"\0" + rng.bytes(2 * samples * WIDTH) for _ in range(HEIGHT))
        yield f"wide-{samples}.png", (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, kind, 0, 0, 0)) +
                                       chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def refused(rgb, grey):
    """What PIL cuts off, or cannot bring to colours."""
    wide = Image.fromarray(np.array(grey).astype(np.uint16) * 257)
    la = grey.copy()
    la.putalpha(grey)
    yield "grey-wide.png", encoded(wide, format="PNG")
    yield "grey-wide.tif", encoded(wide, format="TIFF")
    yield "grey-wide.pgm", encoded(wide, format="PPM")
    yield "signed.tif", encoded(grey.convert("I"), format="TIFF")
    yield "fractions.tif", encoded(grey.convert("F"), format="TIFF")
    yield "lab.tif", encoded(Image.merge("LAB", rgb.split()), format="TIFF")
    yield "luma.tif", encoded(rgb.convert("YCbCr"), format="TIFF")
    yield "premultiplied-grey.tif", with_extra_sample(encoded(la, format="TIFF"), 1)


def main():
    rng = np.random.default_rng(20261129)
    rgb, grey = Image.fromarray(picture(rng, 3)), Image.fromarray(picture(rng, 1)[..., 0])
    alpha = Image.fromarray((picture(rng, 1)[..., 0] // 64 * 85).astype(np.uint8)) # 0, 85, 170, 255
    out, names = {}, []
    for made in (turned(rgb, grey), transparent(rgb, grey, alpha), gifs(rng), webps(rgb, alpha), tiffs(rgb, grey, alpha), pnms(rng, rgb, grey), pngs(rng, rgb, grey)):
        for name, body in made:
            image = ImageOps.exif_transpose(Image.open(io.BytesIO(body))).convert("RGB")
            out[f"file.{name}"] = np.frombuffer(body, np.uint8)
            out[f"pixels.{name}"] = np.ascontiguousarray(np.array(image))
            names.append(name)
    assert len(set(names)) == len(names)
    out.update({f"refused.{name}": np.frombuffer(body, np.uint8) for name, body in refused(rgb, grey)})
    facts = {"pillow": PIL.__version__, "numpy": np.__version__, **{n: features.version(n) for n in ("webp", "libtiff", "libjpeg_turbo", "zlib")}}
    path = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "pictures.safetensors"
    save_file(out, path, metadata={"facts": json.dumps(facts, sort_keys=True)})
    print(f"{path}: {len(names)} pictures, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
