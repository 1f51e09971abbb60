/* What fuzz targets share: what must hold, what a failure has to look like, inputs of several parts, and files in a
 * folder of the process's own. */
#ifndef LF_TEST_FUZZ_H
#define LF_TEST_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool holds) {
    if (!holds) abort();
}

/* A failure is one line, and there is none without one. */
static inline void require_said(lf_status rc, const lf_err *err) {
    require((rc == LF_OK) == (err->message[0] == 0) && !strchr(err->message, '\n') && err->status == rc);
}

/* ---- inputs of several parts ---- */

typedef struct fuzz_input {
    const uint8_t *at;
    size_t left;
} fuzz_input;

/* A part, with a NUL behind it that is not counted; freed by free. */
typedef struct fuzz_part {
    char *s;
    size_t n;
} fuzz_part;

static inline fuzz_part take_bytes(fuzz_input *in, size_t n) {
    fuzz_part part = {malloc(n + 1), n};
    require(part.s != NULL);
    if (n) memcpy(part.s, in->at, n);
    part.s[n] = 0;
    in->at += n;
    in->left -= n;
    return part;
}

/* What stands before the next `end`, which is left out; all that is left where there is none. */
static inline fuzz_part take_until(fuzz_input *in, char end) {
    const uint8_t *found = in->left ? memchr(in->at, end, in->left) : NULL;
    const fuzz_part part = take_bytes(in, found ? (size_t)(found - in->at) : in->left);
    if (found) in->at++, in->left--;
    return part;
}

static inline fuzz_part take_part(fuzz_input *in) { return take_until(in, 0); }
static inline fuzz_part take_rest(fuzz_input *in) { return take_bytes(in, in->left); }
static inline uint8_t take_byte(fuzz_input *in) {
    if (!in->left) return 0;
    in->left--;
    return *in->at++;
}

/* ---- files ---- */

static char fuzz_folder[256];

static inline void remove_fuzz_folder(void) { (void)lf_remove_tree(fuzz_folder, NULL); }

/* The folder, made at the first call in $TMPDIR, else in memory, and removed when the process ends. */
static inline const char *own_folder(void) {
    if (fuzz_folder[0]) return fuzz_folder;
    const char *tmp = getenv("TMPDIR");
    snprintf(fuzz_folder, sizeof fuzz_folder, "%s/lora-ft-fuzz-XXXXXX",
             tmp && *tmp             ? tmp
             : lf_is_dir("/dev/shm") ? "/dev/shm"
                                     : "/tmp");
    require(mkdtemp(fuzz_folder) && atexit(remove_fuzz_folder) == 0);
    return fuzz_folder;
}

/* The name below the folder; one of a few buffers. */
static inline const char *in_folder(const char *name) {
    static char paths[8][640];
    static unsigned next;
    char *path = paths[next++ % 8];
    require((size_t)snprintf(path, sizeof paths[0], "%s/%s", own_folder(), name) < sizeof paths[0]);
    return path;
}

/* Written at once: nobody else looks, and no power is lost. */
static inline const char *put_file(const char *name, const void *bytes, size_t n) {
    const char *path = in_folder(name);
    FILE *f = fopen(path, "wb");
    require(f && (n == 0 || fwrite(bytes, 1, n, f) == n) && fclose(f) == 0);
    return path;
}

static inline void put_part(const char *name, fuzz_part part) { put_file(name, part.s, part.n); }

#endif
