"""What the makers of seeds share."""
import json
import os

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden")


def text(o):
    return json.dumps(o, ensure_ascii=False).encode()


def parts(*some):
    return b"\0".join(p if isinstance(p, bytes) else p.encode() for p in some)


def lines(tensors, dtype="F32"):
    return "\n".join(" ".join([name, dtype] + [str(n) for n in shape]) for name, shape in tensors.items())
