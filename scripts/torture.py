#!/usr/bin/env python3
"""A run that is killed at its n-th system call, or whose n-th write, rename, fsync, mmap or allocation fails.

    scripts/torture.py BUILD [STEP]

n goes from 1 to the end in steps of STEP (1). What must hold: a killed run goes on, or begins again, and ends with the
bytes of one that nobody touched; a failure ends with 0, or with a documented exit code and one line that begins
"lora-ft", never by a signal; whatever stands under a final name is whole. System calls are caught by strace, allocations
by a library that is compiled here. Prints what was done and fails where one thing did not hold."""
import collections
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

PRELOAD = r"""
static atomic_long calls;
static long at = -1;
__attribute__((constructor)) static void begin(void) { const char *s = getenv("FAIL_AT"); if (s) at = atol(s); atomic_store(&calls, 0); }
static int fails(void) { const long n = atomic_fetch_add(&calls, 1); if (at < 0 || n != at) return 0; errno = ENOMEM; return 1; }
#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)
void *malloc(size_t n) { REAL(void *, malloc, size_t); return fails() ? NULL : real(n); }
void *realloc(void *p, size_t n) { REAL(void *, realloc, void *, size_t); return fails() ? NULL : real(p, n); }
void *aligned_alloc(size_t a, size_t n) { REAL(void *, aligned_alloc, size_t, size_t); return fails() ? NULL : real(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { REAL(int, posix_memalign, void **, size_t, size_t); return fails() ? ENOMEM : real(p, a, n); }
__attribute__((destructor)) static void end(void) { const char *s = getenv("COUNT_TO"); char b[32]; int n = 0;
    if (!s) return; long c = atomic_load(&calls); do b[n++] = (char)('0' + c % 10); while (c /= 10);
    FILE_END }
"""
COUNT = r"""int fd = open(s, O_WRONLY | O_CREAT | O_TRUNC, 0600); while (n) (void)!write(fd, &b[--n], 1); close(fd);"""

SAVING = "write,rename,fsync,openat,unlink,unlinkat,rmdir,mkdir,ftruncate,close"
FAILING = [("write", "ENOSPC"), ("rename", "EIO"), ("fsync", "EIO"), ("mmap", "ENOMEM"), ("openat", "EMFILE"), ("mkdir", "ENOSPC")]
CODES = {0, 1, 2, 3, 4, 130}
Counts = collections.Counter()


class Torture:
    """A model, data and a run that nobody touched."""

    def __init__(self, build, work):
        self.program, self.work = str(build / "lora-ft"), work
        self.model = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "vit-base"
        for i in range(12):
            path = work / "data" / "ab"[i % 2] / f"{i}.ppm"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = bytes((37 * i * (x % 7) + 90 * (i % 2)) % 256 for x in range(16 * 16 * 3))
            path.write_bytes(b"P6\n16 16\n255\n" + pixels)
        self.bad = []
        self.train("whole", [])
        self.want = self.sum("whole")

    def command(self, name, more=()):
        return [self.program, "train", "--model", str(self.model), "--train_data", str(self.work / "data"), "--threads", "1",
                "--r", "2", "--init_lora_weights", "intermediate", "--per_device_train_batch_size", "4", "--max_steps", "4",
                "--save_steps", "1", "--save_strategy", "steps", "--output_dir", str(self.work / name), *more]

    def train(self, name, before, more=(), environment=None):
        env = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        done = subprocess.run([*before, *self.command(name, more)], capture_output=True, env=env, timeout=120, check=False)
        return done.returncode, done.stderr.decode(errors="replace")

    def sum(self, name):
        path = self.work / name / "adapter" / "adapter_model.safetensors"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None

    def strace(self, calls, what):
        return ["strace", "-f", "-o", str(self.work / "trace"), "-e", f"trace={calls}", "-e", what]

    def calls(self, which):
        """How many of them a run makes."""
        self.train("counted", self.strace(which, "signal=none"))
        shutil.rmtree(self.work / "counted")
        return self.traced()

    def calls_of_loading(self, which):
        """Where one of these fails, the loader ends the program, not we."""
        subprocess.run([*self.strace(which, "signal=none"), self.program, "version"], capture_output=True, check=True)
        return self.traced()

    def traced(self):
        return sum("(" in line and "resumed>" not in line for line in (self.work / "trace").read_text(errors="replace").splitlines())

    def wrong(self, text):
        self.bad.append(text)
        print(text, flush=True)

    def kill(self, n):
        """At the n-th call of a save, then on."""
        code, said = self.train("killed", self.strace(SAVING, f"inject={SAVING}:signal=KILL:when={n}"))
        Counts["kills"] += code in (-9, 137)
        code, said = self.train("killed", [], ["--resume_from_checkpoint", "true"])
        if code or self.sum("killed") != self.want:
            self.wrong(f"killed at call {n}, then resumed: exit code {code}, {said[-300:]}")
        left = [p.name for p in (self.work / "killed").rglob("*") if ".tmp" in p.name or ".old" in p.name]
        if left:
            self.wrong(f"killed at call {n}: left over: {left}")
        shutil.rmtree(self.work / "killed", ignore_errors=True)

    def judge(self, what, code, said):
        Counts["failures"] += 1
        lines = [line for line in said.splitlines() if line.startswith("lora-ft")]
        if code not in CODES:
            self.wrong(f"{what}: ended with {code}: {said[-300:]}")
        elif code and len(lines) != 1 and "error while loading" not in said:
            self.wrong(f"{what}: exit code {code}, {len(lines)} lines: {said[-300:]}")
        elif code == 0 and self.sum("failing") not in (self.want, None):
            self.wrong(f"{what}: another adapter")
        shutil.rmtree(self.work / "failing", ignore_errors=True)

    def fail(self, call, error, n):
        code, said = self.train("failing", self.strace(call, f"inject={call}:error={error}:when={n}"))
        self.judge(f"{call} {n} fails with {error}", code, said)

    def preload(self):
        source, library = self.work / "fail.c", self.work / "fail.so"
        heads = "".join(f"#include <{h}.h>\n" for h in ("dlfcn", "errno", "fcntl", "stdatomic", "stdlib", "unistd"))
        source.write_text("#define _GNU_SOURCE\n" + heads + PRELOAD.replace("FILE_END", COUNT))
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        return str(library)

    def allocations(self, library):
        self.train("failing", [], (), {"LD_PRELOAD": library, "COUNT_TO": str(self.work / "count")})
        shutil.rmtree(self.work / "failing", ignore_errors=True)
        return int((self.work / "count").read_text())

    def starve(self, library, n):
        code, said = self.train("failing", [], (), {"LD_PRELOAD": library, "FAIL_AT": str(n)})
        self.judge(f"allocation {n} fails", code, said)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    if not shutil.which("strace"):
        sys.exit("strace is not there; install it (Debian: strace)")
    step = int(sys.argv[2]) if len(sys.argv) == 3 else 1
    with tempfile.TemporaryDirectory() as folder:
        t = Torture(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder))
        if not t.want:
            sys.exit("the run that nobody touches makes no adapter")
        for n in range(1, t.calls(SAVING) + 1, step):
            t.kill(n)
        print(f"{Counts['kills']} kills", flush=True)
        for call, error in FAILING:
            for n in range(1 + t.calls_of_loading(call), t.calls(call) + 1, step):
                t.fail(call, error, n)
            print(f"{call}: {Counts['failures']} failures so far", flush=True)
        library = t.preload()
        for n in range(0, t.allocations(library), step):
            t.starve(library, n)
        print(f"{Counts['kills']} kills, {Counts['failures']} injected failures: {len(t.bad)} wrong")
        sys.exit(bool(t.bad))


if __name__ == "__main__":
    main()
