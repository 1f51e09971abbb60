"""What torture.py and power-loss.py train: a tiny ViT of the tests, on twelve pictures of two classes."""
import pathlib

MODEL = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "vit-base"


def make_pictures(folder):
    for i in range(12):
        path = folder / "ab"[i % 2] / f"{i}.ppm"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = bytes((37 * i * (x % 7) + 90 * (i % 2)) % 256 for x in range(16 * 16 * 3))
        path.write_bytes(b"P6\n16 16\n255\n" + pixels)
