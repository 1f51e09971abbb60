#!/usr/bin/env python3
"""What a run leaves where the power goes, if the disk keeps what fsync promised and nothing more.

    scripts/power-loss.py BUILD [--points N] [--each N] [--jobs N]

A run is watched once (strace): what it writes, renames, makes, removes and syncs below its folder. Then, for points
between its calls (N of them, evenly; all, where no number is given), folders are put together that POSIX allows after a
loss of power there: of each file what was written since its last fsync is all there, not there, or there in parts, with
zeros between; of each folder what was done to its names since its last fsync is done or not, each by itself. One with
everything, one with nothing but what was synced, and `each` by chance (seeded). A run goes on from each: it must end with
the bytes of one that nobody touched, and from no earlier checkpoint than the last that was there, whole, before the
point. Prints what was done and fails where one thing did not hold."""
import argparse
import codecs
import collections
import concurrent.futures
import hashlib
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

import tiny_run

CALLS = "openat,creat,write,pwrite64,lseek,rename,renameat,renameat2,fsync,fdatasync,mkdir,unlink,unlinkat,rmdir,ftruncate"
PATIENCE = 1800
LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+)")
FD = re.compile(r"^(\d+|AT_FDCWD)<(.*?)(?: \(deleted\))?>")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


class File:
    def __init__(self):
        self.writes, self.synced = [], 0  # (offset, bytes), or (size, None): cut to it

    def content(self, kept):
        data = bytearray()
        for i, (at, piece) in enumerate(self.writes):
            if i >= self.synced and not kept(i):
                continue
            if piece is None:
                del data[at:]
                continue
            data.extend(bytes(max(0, at - len(data))))
            data[at:at + len(piece)] = piece
        return bytes(data)


class Folder:
    def __init__(self):
        self.names, self.changes, self.synced = {}, [], 0  # now; (name, what or None, name that goes)

    def change(self, name, what, goes=None):
        self.changes.append((name, what, goes))
        self.apply(self.names, self.changes[-1])

    @staticmethod
    def apply(names, change):
        name, what, goes = change
        if goes is not None and names.get(goes) is what:
            del names[goes]
        if what is None:
            names.pop(name, None)
        else:
            names[name] = what

    def kept(self, keeps):
        names = {}
        for i, change in enumerate(self.changes):
            if i < self.synced or keeps(i):
                self.apply(names, change)
        return names


class Watched:
    """The calls of a run, one by one."""

    def __init__(self, trace, root):
        self.root, self.top, self.places = str(root), Folder(), {}
        self.calls = list(self.read(trace))

    def read(self, trace):
        begun = {}
        for line in trace.read_text(errors="replace").splitlines():
            pid = line.split(None, 1)[0]
            if line.endswith("<unfinished ...>"):
                begun[pid] = line[:-len("<unfinished ...>")].rstrip()
                continue
            if "resumed>" in line:
                line = begun.pop(pid) + line.split("resumed>", 1)[1]
            found = LINE.match(line)
            if found and not found[4].startswith("-"):
                yield found[1], found[2], found[3], int(found[4], 0), line

    def find(self, path):
        """(folder, name) of a path below the root; None: another path."""
        if path == self.root or not path.startswith(self.root + "/"):
            return None
        folder, parts = self.top, path[len(self.root) + 1:].split("/")
        for part in parts[:-1]:
            folder = folder.names.get(part)
            if not isinstance(folder, Folder):
                return None
        return folder, parts[-1]

    def what(self, path):
        if path == self.root:
            return self.top
        place = self.find(path)
        return place and place[0].names.get(place[1])

    def opened(self, pid, path, flags, line, fd):
        place = self.find(path)
        if not place:
            return
        folder, name = place
        file = folder.names.get(name)
        if file is None and "O_CREAT" in flags:
            file = File()
            folder.change(name, file)
        elif isinstance(file, File) and "O_TRUNC" in flags:
            file.writes.append((0, None))
        if isinstance(file, File):
            self.places[pid, fd] = len(file.content(lambda i: True)) if "O_APPEND" in flags else 0

    def do(self, pid, call, arguments, result, line):
        """Does it, as far as it is below the root; True: it changed or synced something."""
        texts = [codecs.escape_decode(t)[0].decode(errors="replace") for t in TEXT.findall(arguments)] if "write" not in call else []
        held = FD.match(arguments)
        if call in ("openat", "creat"):
            self.opened(pid, self.absolute(texts[0], arguments), arguments + ("O_CREAT|O_TRUNC" if call == "creat" else ""), line, result)
        elif call in ("write", "pwrite64", "ftruncate", "lseek", "fsync", "fdatasync") and held:
            self.on_descriptor(pid, call, arguments, result, int(held[1]), self.what(held[2]))
        elif call.startswith("rename"):
            old, new = self.find(self.absolute(texts[0], arguments)), self.find(self.absolute(texts[1], arguments))
            if old and new:
                if old[0] is not new[0]:
                    sys.exit(f"a rename from one folder to another, which is not known here: {line}")
                new[0].change(new[1], old[0].names[old[1]], old[1])
        elif call == "mkdir" or call in ("unlink", "unlinkat", "rmdir"):
            place = self.find(self.absolute(texts[0], arguments))
            if place:
                place[0].change(place[1], Folder() if call == "mkdir" else None)

    def absolute(self, path, arguments):
        held = FD.match(arguments)
        return path if path.startswith("/") else os.path.join(held[2], path) if held else path

    def on_descriptor(self, pid, call, arguments, result, fd, what):
        if isinstance(what, Folder) and "sync" in call:
            what.synced = len(what.changes)
        if not isinstance(what, File):
            return
        if "sync" in call:
            what.synced = len(what.writes)
        elif call == "lseek":
            self.places[pid, fd] = result
        elif call == "ftruncate":
            what.writes.append((int(arguments.rsplit(",", 1)[1]), None))
        else:
            data = codecs.escape_decode(TEXT.search(arguments)[1])[0][:result]
            at = int(arguments.rsplit(",", 1)[1]) if call == "pwrite64" else self.places.get((pid, fd), 0)
            what.writes.append((at, data))
            if call == "write":
                self.places[pid, fd] = at + len(data)


def put(folder, to, keeps):
    """The folder as it is found after the loss."""
    to.mkdir(parents=True)
    for name, what in folder.kept(lambda i: keeps(folder, i)).items():
        if isinstance(what, Folder):
            put(what, to / name, keeps)
        else:
            (to / name).write_bytes(what.content(lambda i, w=what: keeps(w, i)))


def tree_sum(path):
    h = hashlib.sha256()
    for p in sorted(path.rglob("*")):
        h.update(str(p.relative_to(path)).encode() + b"\0" + (p.read_bytes() if p.is_file() else b"folder"))
    return h.hexdigest()


class Loss:
    def __init__(self, build, work):
        self.program, self.work = str(build / "lora-ft"), work
        self.model = tiny_run.MODEL
        tiny_run.make_pictures(work / "data")
        self.bad, self.counts = [], collections.Counter()

    def train(self, to, before=(), more=()):
        command = [self.program, "train", "--model", str(self.model), "--train_data", str(self.work / "data"), "--threads", "1", "--r", "2",
                   "--init_lora_weights", "intermediate", "--per_device_train_batch_size", "4", "--max_steps", "5", "--save_steps", "1",
                   "--save_strategy", "steps", "--save_total_limit", "2", "--logging_steps", "1", "--decomposition_cache",
                   str(self.work / "cache"), "--output_dir", str(to), *more]
        done = subprocess.run([*before, *command], capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=PATIENCE,
                              check=False)
        return done.returncode, done.stderr.decode(errors="replace")

    def go_on(self, point, how, folder, safe):
        code, said = self.train(folder, more=["--resume_from_checkpoint", "true"])
        adapter = folder / "adapter" / "adapter_model.safetensors"
        found = re.search(r"resumed from \S*checkpoint-(\d+)", said)
        step = int(found[1]) if found else 0
        self.counts["resumed"] += 1
        self.counts["from a checkpoint"] += bool(found)
        if code or not adapter.exists() or adapter.read_bytes() != self.want:
            self.wrong(f"point {point}, {how}: exit code {code}: {said[-600:]}")
        elif step < safe and "the run is finished" not in said:
            self.wrong(f"point {point}, {how}: went on from step {step}, and checkpoint-{safe} had been written")
        shutil.rmtree(folder)

    def wrong(self, text):
        self.bad.append(text)
        print(text, flush=True)

    def states(self, watched, points, each):
        """(point, how, folder, checkpoint that must be there), those that are alike left out."""
        seen, safe = set(), 0
        for point, call in enumerate(watched.calls):
            watched.do(*call)
            done = [int(n.rsplit("-", 1)[1]) for n in watched.top.kept(lambda i: False) if re.fullmatch(r"checkpoint-\d+", n)]
            safe = max([safe, *done])
            if point not in points:
                continue
            for v in range(2 + each):
                dice = random.Random(1000 * point + v)
                chosen = {}
                how = ["everything", "what was synced"][v] if v < 2 else f"by chance {v - 2}"
                share = dice.random()
                def keeps(what, i, v=v, dice=dice, chosen=chosen, share=share):
                    return v == 0 or (v > 1 and chosen.setdefault((id(what), i), dice.random() < share))
                folder = self.work / f"loss-{point}-{v}"
                put(watched.top, folder, keeps)
                what = tree_sum(folder)
                if what in seen:
                    shutil.rmtree(folder)
                    continue
                seen.add(what)
                yield point, how, folder, safe


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--points", type=int)
    parser.add_argument("--each", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    if not shutil.which("strace"):
        sys.exit("strace is not there; install it (Debian: strace)")
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder).resolve()
        t = Loss(args.build.resolve(), work)
        trace, run = work / "trace", work / "run"
        code, said = t.train(run, ["strace", "-f", "-y", "-x", "-s", "100000000", "-o", str(trace), "-e", f"trace={CALLS}"])
        if code:
            sys.exit(f"the run that is watched ends with {code}: {said}")
        t.want = (run / "adapter" / "adapter_model.safetensors").read_bytes()
        watched = Watched(trace, run)
        n = len(watched.calls)
        points = set(range(n)) if not args.points else {i * n // args.points for i in range(args.points)}
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for done in [pool.submit(t.go_on, *state) for state in t.states(watched, points, args.each)]:
                done.result()
        put(watched.top, work / "all", lambda what, i: True)
        if tree_sum(work / "all") != tree_sum(run):
            names = [{str(p.relative_to(d)): p.is_file() and p.read_bytes() for p in d.rglob("*")} for d in (work / "all", run)]
            t.wrong(f"what was watched, done again, is not the folder of the run: {sorted(k for k in names[0].keys() | names[1].keys() if names[0].get(k, None) != names[1].get(k, None))}")
        print(f"{n} calls, {len(points)} points, {t.counts['resumed']} folders that differ, {t.counts['from a checkpoint']} of them went on "
              f"from a checkpoint: {len(t.bad)} wrong")
        sys.exit(bool(t.bad))


if __name__ == "__main__":
    main()
