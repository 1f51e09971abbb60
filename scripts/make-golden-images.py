#!/usr/bin/env python3
"""Makes tests/golden/images.safetensors: what PIL and transformers do to a few small pictures.

Needs pillow, numpy, safetensors and transformers. Run from anywhere; the file is the same bytes for the same versions.

Tensors (U8 unless said otherwise):
  src.<name>                                 source pictures, [H, W, C], C = 1 (PIL's mode L) or 3
  resize.<name>.<filter>.<w>x<h>             PIL's Image.resize of src.<name>, [h, w, C]
  resize.<name>.<filter>.<w>x<h>.box<i>      the same with box i of tensor `boxes` (F64 [n, 4])
  process.<k>.<name>                         F32 [C, H, W]: by processor k
  file.<format>, pixels.<format>             an encoded picture's bytes, and what PIL's convert makes of them, [H, W, C]
Metadata `facts` is a JSON object: the versions, and `processors`, their preprocessor_config.json in order of k.

The processors are transformers' PIL backend: ViTImageProcessorPil and relatives. The torchvision backend, which
transformers 5 prefers where torchvision is installed, resizes with coarser weights and pads an uneven missing row on
the other side, so its results differ from these by a level or so; files do not say which of the two was meant.
"""
import io
import json
import pathlib

import numpy as np
import PIL
import transformers
from PIL import Image, features
from safetensors.numpy import save_file
from transformers import CLIPImageProcessorPil, DeiTImageProcessorPil, ViTImageProcessorPil

FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
BOXES = [(0, 0, 20, 16), (3.25, 1.5, 30.75, 21.125), (5, 2, 6.5, 23)]


def picture(rng, width, height, channels):
    """Smooth waves, hard edges and noise: overshoot, clipping and rounding all take part."""
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for c in range(channels):
        plane = 127 + 120 * np.sin(x / (3.0 + c)) * np.cos(y / (5.0 - c))
        plane[height // 3 : height // 2, width // 4 : width // 2] = 255 * (c % 2 == 0)
        plane[:, width - width // 5 :] += rng.normal(0, 60, plane[:, width - width // 5 :].shape)
        planes.append(plane)
    return np.clip(np.stack(planes, -1), 0, 255).round().astype(np.uint8)


def to_pil(array):
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def to_array(image):
    array = np.array(image)
    return array[..., None] if array.ndim == 2 else array


def resizes(sources, out):
    sizes = {"rgb": [(16, 16), (64, 50), (37, 11), (7, 29), (37, 29)], "grey": [(14, 14), (56, 40), (1, 1), (31, 60)],
             "tall": [(16, 16), (9, 12), (60, 30)]}
    for name, wanted in sizes.items():
        for filter_name, number in FILTERS.items():
            for w, h in wanted:
                resized = to_pil(sources[name]).resize((w, h), resample=number)
                out[f"resize.{name}.{filter_name}.{w}x{h}"] = to_array(resized)
            for i, box in enumerate(BOXES if name != "tall" else []):
                resized = to_pil(sources[name]).resize((15, 13), resample=number, box=box)
                out[f"resize.{name}.{filter_name}.15x13.box{i}"] = to_array(resized)


def processors():
    """(processor, sources it is tried on)"""
    imagenet = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    rgb = dict(do_convert_rgb=True)
    grey = dict(image_mean=[0.2860], image_std=[0.3530])
    return [
        (ViTImageProcessorPil(size={"height": 16, "width": 16}, **rgb), ["rgb", "grey", "tall"]),
        (ViTImageProcessorPil(size={"height": 20, "width": 14}, resample=3, **imagenet, **rgb), ["rgb", "grey"]),
        (ViTImageProcessorPil(size={"height": 12, "width": 12}, resample=1, do_normalize=False, **rgb), ["rgb"]),
        (ViTImageProcessorPil(size={"height": 12, "width": 12}, do_rescale=False, **rgb), ["rgb"]),
        (ViTImageProcessorPil(size={"height": 14, "width": 14}, **grey), ["grey"]),
        (DeiTImageProcessorPil(size={"height": 24, "width": 24}, crop_size=17, **imagenet, **rgb), ["rgb", "tall"]),
        (CLIPImageProcessorPil(size={"shortest_edge": 18}, crop_size=16, **rgb), ["rgb", "grey", "tall"]),
        (CLIPImageProcessorPil(size={"shortest_edge": 9}, crop_size={"height": 16, "width": 15}, **rgb), ["rgb", "tall"]),
    ]


def processed(sources, out, facts):
    for k, (processor, names) in enumerate(processors()):
        facts["processors"].append(json.loads(processor.to_json_string()))
        for name in names:
            values = processor(to_pil(sources[name]), return_tensors="np")["pixel_values"][0]
            out[f"process.{k}.{name}"] = np.ascontiguousarray(values.astype(np.float32))


def encoded(sources, out):
    rgb, grey = to_pil(sources["rgb"]), to_pil(sources["grey"])
    with_alpha = rgb.copy()
    with_alpha.putalpha(grey.resize(rgb.size))
    inks = Image.merge("CMYK", [*rgb.split(), grey.resize(rgb.size)])
    kinds = {
        "jpeg": (rgb, "RGB", dict(format="JPEG", quality=95, subsampling=0)),
        "jpeg_420": (rgb, "RGB", dict(format="JPEG", quality=75, subsampling=2)),
        "jpeg_422": (rgb, "RGB", dict(format="JPEG", quality=85, subsampling=1)),
        "jpeg_tall_420": (to_pil(sources["tall"]), "RGB", dict(format="JPEG", quality=90, subsampling=2)),
        "jpeg_one_pixel": (rgb.crop((9, 9, 10, 10)), "RGB", dict(format="JPEG", subsampling=2)),
        "jpeg_progressive_420": (rgb, "RGB", dict(format="JPEG", quality=95, progressive=True)),
        "jpeg_progressive_422": (rgb, "RGB", dict(format="JPEG", quality=60, subsampling=1, progressive=True)),
        "jpeg_grey": (grey, "L", dict(format="JPEG", quality=95)),
        "jpeg_restarts": (rgb, "RGB", dict(format="JPEG", quality=75, subsampling=2, restart_marker_blocks=2)),
        "jpeg_unconverted_rgb": (rgb, "RGB", dict(format="JPEG", quality=75, keep_rgb=True)),
        "jpeg_cmyk": (inks, "RGB", dict(format="JPEG", quality=75)),
        "png": (rgb, "RGB", dict(format="PNG")),
        "png_alpha": (with_alpha, "RGB", dict(format="PNG")),
        "png_grey": (grey, "L", dict(format="PNG")),
        "png_grey_alpha": (with_alpha.convert("LA"), "L", dict(format="PNG")),
        "png_palette": (rgb.quantize(31), "RGB", dict(format="PNG")),
        "bmp": (rgb, "RGB", dict(format="BMP")),
        "gif": (rgb.quantize(31), "RGB", dict(format="GIF")),
        "ppm": (rgb, "RGB", dict(format="PPM")),
        "pgm": (grey, "L", dict(format="PPM")),
        "tga": (rgb, "RGB", dict(format="TGA")),
    }
    for name, (image, mode, options) in kinds.items():
        stream = io.BytesIO()
        image.save(stream, **options)
        out[f"file.{name}"] = np.frombuffer(stream.getvalue(), np.uint8)
        out[f"pixels.{name}"] = to_array(Image.open(io.BytesIO(stream.getvalue())).convert(mode))


def main():
    rng = np.random.default_rng(20260203)
    sources = {"rgb": picture(rng, 37, 29, 3), "grey": picture(rng, 31, 23, 1), "tall": picture(rng, 11, 40, 3)}
    out = {f"src.{name}": array for name, array in sources.items()}
    out["boxes"] = np.array(BOXES, np.float64)
    out["rgb_as_grey"] = to_array(to_pil(sources["rgb"]).convert("L"))
    facts = {"pillow": PIL.__version__, "transformers": transformers.__version__, "numpy": np.__version__, "processors": [], "libjpeg_turbo": features.version("libjpeg_turbo")}
    resizes(sources, out)
    processed(sources, out, facts)
    encoded(sources, out)
    path = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "images.safetensors"
    save_file({k: np.ascontiguousarray(v) for k, v in out.items()}, path, metadata={"facts": json.dumps(facts, sort_keys=True)})
    print(f"{path}: {len(out)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
