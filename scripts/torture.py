#!/usr/bin/env python3
"""A run that is killed at its n-th system call, or whose n-th write, rename, fsync, mmap or allocation fails.

    scripts/torture.py BUILD [--kills N] [--failures N] [--jobs N]

Places are spread evenly from the first call of a kind to the last; without a number, every place there is. What must
hold: a killed run goes on, or begins again, and ends with the bytes of one that nobody touched, leaving nothing half
written; a failure ends with 0, or with a documented exit code and one line that begins "lora-ft", never by a signal,
and a run that failed goes on to those same bytes; whatever stands under a final name is whole. System calls are caught
by strace, allocations by a library that is compiled here; a place where nothing was injected is not counted (strace
numbers the calls of each thread for itself). Prints what was done and fails where one thing did not hold."""
import argparse
import collections
import concurrent.futures
import hashlib
import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import tiny_run

PRELOAD = r"""
static atomic_long calls;
static long at = -1, lasts = 1;
static char count_to[4096];
static long number(const char *name, long otherwise) { const char *s = getenv(name); return s ? atol(s) : otherwise; }
__attribute__((constructor)) static void begin(void) { /* and not of processes that it starts */
    at = number("FAIL_AT", -1);
    lasts = number("FAIL_LASTS", 1);
    if (getenv("COUNT_TO")) snprintf(count_to, sizeof count_to, "%s", getenv("COUNT_TO"));
    unsetenv("FAIL_AT"), unsetenv("COUNT_TO"), unsetenv("LD_PRELOAD");
    atomic_store(&calls, 0);
}
static int fails(void) {
    const long n = atomic_fetch_add(&calls, 1);
    if (at < 0 || n < at || n >= at + lasts) return 0;
    errno = ENOMEM;
    return 1;
}
#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)
void *malloc(size_t n) { REAL(void *, malloc, size_t); return fails() ? NULL : real(n); }
void *calloc(size_t n, size_t each) {
    size_t all;
    if (__builtin_mul_overflow(n, each, &all)) return NULL;
    void *p = malloc(all);
    return p ? memset(p, 0, all) : NULL;
}
void *realloc(void *p, size_t n) { REAL(void *, realloc, void *, size_t); return fails() ? NULL : real(p, n); }
void *aligned_alloc(size_t a, size_t n) { REAL(void *, aligned_alloc, size_t, size_t); return fails() ? NULL : real(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { REAL(int, posix_memalign, void **, size_t, size_t); return fails() ? ENOMEM : real(p, a, n); }
__attribute__((destructor)) static void end(void) {
    FILE *f = *count_to ? fopen(count_to, "w") : NULL;
    if (f) fprintf(f, "%ld", atomic_load(&calls)), fclose(f);
}
"""
HEADERS = ("dlfcn", "errno", "stdatomic", "stdio", "stdlib", "string")

KILLED_AT = ["write", "rename", "fsync", "openat", "unlink", "unlinkat", "rmdir", "mkdir", "close", "mmap", "pwrite64"]
FAILING = [("write", "ENOSPC"), ("rename", "EIO"), ("fsync", "EIO"), ("mmap", "ENOMEM"), ("openat", "EMFILE"),
           ("mkdir", "ENOSPC"), ("close", "EIO"), ("unlink", "EACCES"), ("ftruncate", "EIO"), ("read", "EIO"), ("newfstatat", "EIO")]
ALLOCATIONS = [("allocation", 1), ("allocations from", 1 << 40)]  # one that fails; all from there on
CODES = {0, 1, 2, 3, 4, 130}
PATIENCE = 600  # seconds that a run may take on a busy machine; it takes less than one on an idle one
RESUMED = 4  # of that many failures one is resumed


def spread(first, last, n):
    """n of the places first..last, evenly."""
    return [first + i * (last - first + 1) // n for i in range(n)]


class Torture:
    """A model, data and a run that nobody touched."""

    def __init__(self, build, work):
        self.program, self.work = str(build / "lora-ft"), work
        self.model = tiny_run.MODEL
        tiny_run.make_pictures(work / "data")
        self.bad, self.counts, self.codes = [], collections.Counter(), collections.Counter()
        self.numbers = itertools.count()
        self.train("whole", [])
        self.want = self.sum("whole")

    def home(self, name):
        """A case has a folder of its own, where caches go too: nothing is shared with another."""
        path = self.work / name
        path.mkdir(exist_ok=True)
        return path

    def train(self, name, before, more=(), environment=None):
        home = self.home(name)
        env = {**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), **(environment or {})}
        command = [self.program, "train", "--model", str(self.model), "--train_data", str(self.work / "data"), "--threads", "1",
                   "--r", "2", "--init_lora_weights", "intermediate", "--per_device_train_batch_size", "4", "--max_steps", "3",
                   "--save_steps", "1", "--save_strategy", "steps", "--output_dir", str(home / "run"), *more]
        done = subprocess.run([*before, *command], capture_output=True, env=env, timeout=PATIENCE, check=False)
        return done.returncode, done.stderr.decode(errors="replace")

    def sum(self, name):
        path = self.work / name / "run" / "adapter" / "adapter_model.safetensors"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None

    def strace(self, name, calls, what):
        """A filter in the kernel lets all other calls pass at full speed; it delivers no signals."""
        fast = [] if "signal=" in what and "none" not in what else ["--seccomp-bpf"]
        return ["strace", "-f", *fast, "-o", str(self.home(name) / "trace"), "-e", f"trace={calls}", "-e", what]

    def calls(self, which):
        """The first that is a run's own, and the last of its busiest thread. Before the first is the loader: where one of
        its calls fails, it ends the program, not we."""
        self.train("counted", self.strace("counted", which, "signal=none"))
        most = max(self.traced("counted").values(), default=0)
        shutil.rmtree(self.work / "counted")
        subprocess.run([*self.strace("counted", which, "signal=none"), self.program, "version"], capture_output=True, check=True)
        loading = max(self.traced("counted").values(), default=0)
        shutil.rmtree(self.work / "counted")
        return 1 + loading, most

    def traced(self, name):
        lines = (self.work / name / "trace").read_text(errors="replace").splitlines()
        return collections.Counter(line.split()[0] for line in lines if "(" in line and "resumed>" not in line)

    def injected(self, name):
        return "(INJECTED)" in (self.work / name / "trace").read_text(errors="replace")

    def wrong(self, text):
        self.bad.append(text)
        print(text, flush=True)

    def goes_on(self, name, what):
        """Resumed, it ends with the bytes of a run that nobody touched, and nothing half written is left."""
        code, said = self.train(name, [], ["--resume_from_checkpoint", "true"])
        if code or self.sum(name) != self.want:
            self.wrong(f"{what}, then resumed: exit code {code}, {said[-600:]}")
        left = [p.name for p in (self.work / name / "run").rglob("*") if ".tmp" in p.name or ".old" in p.name]
        if left:
            self.wrong(f"{what}: left over: {left}")

    def kill(self, call, n):
        """At its n-th call, then on."""
        name, what = f"case-{next(self.numbers)}", f"killed at {call} {n}"
        code, said = self.train(name, self.strace(name, call, f"inject={call}:signal=KILL:when={n}"))
        if code in (-9, 137):
            self.counts["kills"] += 1
        elif code or self.sum(name) != self.want:
            self.wrong(f"{what}: ended with {code}: {said[-600:]}")
        self.goes_on(name, what)
        shutil.rmtree(self.work / name)

    def judge(self, name, what, code, said):
        self.counts["failures"] += 1
        self.codes[code] += 1
        lines = [line for line in said.splitlines() if line.startswith("lora-ft") and "warning" not in line]
        if code not in CODES:
            self.wrong(f"{what}: ended with {code}: {said[-600:]}")
        elif code and len(lines) != 1 and "error while loading" not in said:
            self.wrong(f"{what}: exit code {code}, {len(lines)} lines: {said[-600:]}")
        elif self.sum(name) not in ((self.want,) if code == 0 else (self.want, None)):
            self.wrong(f"{what}: exit code {code}, and another adapter, or none: {said[-600:]}")
        if code and self.counts["failures"] % RESUMED == 0:
            self.counts["resumed"] += 1
            self.goes_on(name, what)

    def fail(self, call, error, n):
        name = f"case-{next(self.numbers)}"
        code, said = self.train(name, self.strace(name, call, f"inject={call}:error={error}:when={n}"))
        if self.injected(name):
            self.judge(name, f"{call} {n} fails with {error}", code, said)
        elif code or self.sum(name) != self.want:
            self.wrong(f"{call} {n} was not reached: ended with {code}: {said[-600:]}")
        shutil.rmtree(self.work / name)

    def preload(self):
        source, library = self.work / "fail.c", self.work / "fail.so"
        source.write_text("#define _GNU_SOURCE\n" + "".join(f"#include <{h}.h>\n" for h in HEADERS) + PRELOAD)
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        return str(library)

    def allocations(self, library):
        self.train("counted", [], (), {"LD_PRELOAD": library, "COUNT_TO": str(self.home("counted") / "count")})
        count = int((self.work / "counted" / "count").read_text())
        shutil.rmtree(self.work / "counted")
        return count

    def starve(self, library, what, lasts, n):
        name = f"case-{next(self.numbers)}"
        code, said = self.train(name, [], (), {"LD_PRELOAD": library, "FAIL_AT": str(n), "FAIL_LASTS": str(lasts)})
        self.judge(name, f"{what} {n}", code, said)
        shutil.rmtree(self.work / name)

    def share_out(self, kinds, wanted):
        """Places of each kind: the fewer it has, the more of them."""
        for i, (kind, first, last, do) in enumerate(sorted(kinds, key=lambda k: k[2] - k[1])):
            count = max(0, last - first + 1)
            n = count if wanted is None else min(count, -(-wanted // (len(kinds) - i)))
            wanted = None if wanted is None else wanted - n
            print(f"{kind}: {n} of {count} places", flush=True)
            yield from ((lambda n=n, do=do: do(n)) for n in spread(first, last, n))

    def cases(self, kills, failures):
        kinds = [(f"killed at {c}", *self.calls(c), lambda n, c=c: self.kill(c, n)) for c in KILLED_AT]
        yield from self.share_out(kinds, kills)
        library = self.preload()
        most = self.allocations(library)
        kinds = [(c, *self.calls(c), lambda n, c=c, e=e: self.fail(c, e, n)) for c, e in FAILING]
        kinds += [(w, 0, most - 1, lambda n, w=w, t=t: self.starve(library, w, t, n)) for w, t in ALLOCATIONS]
        yield from self.share_out(kinds, failures)

    def run(self, cases, jobs):
        begun, said = time.monotonic(), 0.0
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            todo = [pool.submit(do) for do in cases]
            for done in concurrent.futures.as_completed(todo):
                done.result()
                if time.monotonic() - said > 60:
                    said = time.monotonic()
                    print(f"after {said - begun:.0f} s: {self.counts['kills']} kills, {self.counts['failures']} failures", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--failures", type=int)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    if not shutil.which("strace"):
        sys.exit("strace is not there; install it (Debian: strace)")
    with tempfile.TemporaryDirectory() as folder:
        t = Torture(args.build.resolve(), pathlib.Path(folder))
        if not t.want:
            sys.exit("the run that nobody touches makes no adapter")
        t.run(list(t.cases(args.kills, args.failures)), args.jobs)
        codes = ", ".join(f"{n} with {code}" for code, n in sorted(t.codes.items()))
        print(f"{t.counts['kills']} kills, all resumed; {t.counts['failures']} injected failures ({codes}), {t.counts['resumed']} of "
              f"them resumed: {len(t.bad)} wrong")
        sys.exit(bool(t.bad))


if __name__ == "__main__":
    main()
