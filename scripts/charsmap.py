"""The replacements of a sentencepiece normalizer ("precompiled_charsmap"), made from a dictionary: for asking
`tokenizers` what it does with them, and for its golden files."""
import struct


def charsmap(replacements):
    """Bytes of: size of the trie, the trie (Darts' double array, 32 bits a unit), the replacements with a NUL each."""
    texts, offsets, root = b"", {}, {}
    for key in sorted(replacements):
        offsets[key] = len(texts)
        texts += replacements[key].encode() + b"\0"
        node = root
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[None] = offsets[key]
    units, used, first = [0] * 256, {0}, 1
    todo = [(root, 0)]
    while todo:
        node, at = todo.pop()
        labels = [0 if b is None else b for b in node]
        base = first
        while any(base ^ label in used for label in labels):
            base += 1
        assert at ^ base < 1 << 21, "too many replacements for this simple builder"
        units += [0] * ((base | 255) + 1 - len(units))
        used.update(base ^ label for label in labels)
        while first in used:
            first += 1
        units[at] = units[at] & 255 | (at ^ base) << 10 | (None in node) << 8
        for byte, child in node.items():
            if byte is None:
                units[base] = 1 << 31 | child
            else:
                units[base ^ byte] = byte
                todo.append((child, base ^ byte))
    trie = b"".join(struct.pack("<I", unit) for unit in units)
    return struct.pack("<I", len(trie)) + trie + texts
