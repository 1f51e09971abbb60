/* What is kept on disk to be found again: a decomposition, the hash of a model's files, what the base scores. The first
 * byte says which, and the second whether what follows are the bytes of its file's numbers, in a file that is all
 * right, or the file: a header up to a NUL, whose length is set right, and its data; or what is changed in one that was
 * all right. No failure, ever: what is no good is made again, and is then what it was. */
#include <math.h>

#include "adapter/decompositions.h"
#include "io/kept_hash.h"
#include "io/stored.h"
#include "small_run.h"
#include "task/base_cache.h"

enum { SEALED = 1, CHANGED = 2 };
enum { SHAPE, TYPE, LAST_BYTE, END };
enum { DECOMPOSITION, HASH, SCORE, N_CACHES, MOST_PARTS = 4, ROWS = 3, COLUMNS = 2 };

/* A file as it was kept: where, and all that is in it. */
typedef struct kept {
    char path[640], kind[64], *identity;
    lf_stored_part parts[MOST_PARTS];
    int n;
} kept;
static kept files[N_CACHES];

static lf_run run;
static lf_config *cfg;
static lf_safetensors *model;
static char hash[33];
static lf_base_score score;
static lf_decompositions *decompositions;
static lf_stored_weight weight;
static double U[ROWS * COLUMNS], S[COLUMNS];
static const lf_stored_part of_weight[] = {{"U", U, ROWS, COLUMNS, LF_F64}, {"S", S, 1, COLUMNS, LF_F64}};

/* ---- files that are all right ---- */

/* The one file in a folder, or in the one folder in it. */
static void find_file(char *path, size_t size, const char *folder) {
    char **names = NULL;
    size_t n = 0;
    snprintf(path, size, "%s", folder);
    while (lf_is_dir(path)) {
        require(lf_list_dir(&names, &n, path, NULL) == LF_OK && n > 0);
        const char *name = names[0];
        for (size_t i = 0; i < n; i++)
            if (strstr(names[i], ".safetensors")) name = names[i];
        snprintf(path + strlen(path), size - strlen(path), "/%s", name);
        lf_free(names);
    }
}

/* As they were written, one behind the other: the checksum goes through them in that order. */
static int by_place(const void *a, const void *b) {
    const uintptr_t x = (uintptr_t)(*(const lf_st_tensor *const *)a)->data,
                    y = (uintptr_t)(*(const lf_st_tensor *const *)b)->data;
    return (x > y) - (x < y);
}

static void remember(kept *k, const char *folder, const char *kind) {
    lf_safetensors *st = NULL;
    const lf_st_tensor *tensors[MOST_PARTS];
    find_file(k->path, sizeof k->path, folder);
    snprintf(k->kind, sizeof k->kind, "%s", kind);
    require(lf_safetensors_open(&st, k->path, NULL) == LF_OK && lf_safetensors_metadata(st, kind));
    k->identity = strdup(lf_safetensors_metadata(st, kind));
    k->n = (int)lf_safetensors_count(st);
    require(k->identity && k->n <= MOST_PARTS);
    for (int i = 0; i < k->n; i++) tensors[i] = lf_safetensors_at(st, i);
    qsort(tensors, (size_t)k->n, sizeof *tensors, by_place);
    for (int i = 0; i < k->n; i++) {
        const lf_st_tensor *t = tensors[i];
        char *name = strdup(t->name), *data = malloc(t->size + 1);
        require(t->ndim == 2 && name && data);
        memcpy(data, t->data, t->size);
        k->parts[i] = (lf_stored_part){name, data, t->shape[0], t->shape[1], t->dtype};
    }
    lf_safetensors_close(st);
}

static void make_decomposition(void) {
    static const float W[ROWS * ROWS] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    require(lf_decompositions_open(&decompositions, in_folder("weights"), NULL) == LF_OK && decompositions);
    weight = lf_decompositions_weight(decompositions, W, ROWS, ROWS);
    for (int i = 0; i < ROWS * COLUMNS; i++) U[i] = i;
    S[0] = 2, S[1] = 1;
    lf_decompositions_write(&weight, "block-r2-s0", of_weight, 2);
    remember(&files[DECOMPOSITION], in_folder("weights"), "decomposition");
}

/* A file that has changed within the last seconds could change again, and nothing is kept of it. */
static void make_hash(void) {
    lf_err err = {0};
    must(lf_safetensors_open(&model, LF_TEST_DIR "/golden/vit-base", &err), &err);
    must(lf_kept_hash(model, in_folder("hashes"), hash, &err), &err);
    remember(&files[HASH], in_folder("hashes"), "hash of model files");
}

static void make_score(void) {
    lf_err err = {0};
    char name[64];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "base/LABEL_%d/%d.pgm", i, i);
        put_picture(name, (unsigned char)(40 * i));
    }
    const char *const keys[] = {
        "method", "head", "forgetting_data", in_folder("base"), "base_cache", in_folder("scores"), NULL};
    cfg = small_config("run", keys);
    must(lf_run_open_data(&run, cfg, &err), &err);
    must(lf_measure_base(run.task, LF_DATA_BASE, &score, &err), &err);
    remember(&files[SCORE], in_folder("scores"), "base_score");
}

/* ---- files that are not ---- */

static void put_sealed(const kept *k, fuzz_part bytes) {
    lf_stored_part parts[MOST_PARTS];
    size_t used = 0;
    for (int i = 0; i < k->n; i++) {
        parts[i] = k->parts[i];
        const size_t size = (size_t)(parts[i].rows * parts[i].columns) * lf_dtype_size(parts[i].dtype);
        const size_t n = bytes.n - used < size ? bytes.n - used : size;
        parts[i].data = malloc(size + 1);
        require(parts[i].data != NULL);
        memcpy(parts[i].data, k->parts[i].data, size);
        memcpy(parts[i].data, bytes.s + used, n);
        used += n;
    }
    require(lf_stored_write(k->path, k->kind, k->identity, parts, k->n, NULL) == LF_OK);
    for (int i = 0; i < k->n; i++) free(parts[i].data);
}

/* One that is all right but for the shape or the type of its first part, its last byte, or its end. */
static void put_changed(const kept *k, int change) {
    lf_stored_part parts[MOST_PARTS];
    char *bytes = NULL;
    size_t n = 0;
    for (int i = 0; i < k->n; i++) parts[i] = k->parts[i];
    if (change == SHAPE) parts[0].rows = k->parts[0].columns, parts[0].columns = k->parts[0].rows;
    if (change == TYPE) parts[0].dtype = parts[0].dtype == LF_U8 ? LF_BOOL : LF_I64;
    require(lf_stored_write(k->path, k->kind, k->identity, parts, k->n, NULL) == LF_OK);
    if (change != LAST_BYTE && change != END) return;
    require(lf_file_read(&bytes, &n, k->path, NULL) == LF_OK);
    bytes[n - 1] = (char)(bytes[n - 1] ^ 1);
    FILE *f = fopen(k->path, "wb");
    require(f && fwrite(bytes, 1, n - (change == END), f) == n - (change == END) && fclose(f) == 0);
    lf_free(bytes);
}

static void put_raw(const kept *k, fuzz_part header, fuzz_part bytes) {
    FILE *f = fopen(k->path, "wb");
    unsigned char length[8] = {0};
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)(header.n >> (8 * i));
    require(f && fwrite(length, 1, 8, f) == 8 && fwrite(header.s, 1, header.n, f) == header.n);
    require(fwrite(bytes.s, 1, bytes.n, f) == bytes.n && fclose(f) == 0);
}

/* ---- what is found ---- */

/* With the folder opened by another run, too. */
static void read_decomposition(bool sealed) {
    lf_decompositions *other = NULL;
    lf_stored_weight same = weight;
    lf_err err = {0};
    const int64_t before = lf_decompositions_n_read(decompositions);
    const bool found = lf_decompositions_read(&weight, "block-r2-s0", of_weight, 2);
    require(lf_decompositions_n_read(decompositions) == before + found && (found || !sealed));
    require(lf_decompositions_open(&other, in_folder("weights"), &err) == LF_OK && other);
    require(lf_decompositions_lock(other, &err) == LF_OK && lf_is_dir(lf_decompositions_folder(other)));
    same.cache = other;
    require(lf_decompositions_read(&same, "block-r2-s0", of_weight, 2) == found);
    lf_decompositions_close(other);
}

static void read_hash(bool sealed) {
    char now[33], file[33], again[33];
    require(lf_kept_hash(model, in_folder("hashes"), now, NULL) == LF_OK && strlen(now) == 32);
    for (int i = 0; i < 32; i++) require(strchr("0123456789abcdef", now[i]) != NULL);
    require(sealed || strcmp(now, hash) == 0);
    require(lf_stored_hash_file(file, files[HASH].path, NULL) == LF_OK &&
            lf_stored_hash_file(again, files[HASH].path, NULL) == LF_OK && strcmp(file, again) == 0);
}

static void read_score(bool sealed) {
    lf_base_score now;
    require(lf_measure_base(run.task, LF_DATA_BASE, &now, NULL) == LF_OK);
    require(now.count >= 0 && now.knn_count >= 0);
    require(sealed || (now.count == score.count && now.accuracy == score.accuracy && now.loss == score.loss));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_log_set_level(LF_LOG_QUIET);
    if (!cfg) {
        make_decomposition();
        make_hash();
        make_score();
    }
    const int which = take_byte(&in) % N_CACHES;
    const uint8_t how = take_byte(&in);
    const bool sealed = how & SEALED;
    const int64_t live = lf_alloc_live();
    const fuzz_part header = sealed ? (fuzz_part){0} : take_part(&in), bytes = take_rest(&in);
    if (sealed)
        put_sealed(&files[which], bytes);
    else if (how & CHANGED)
        put_changed(&files[which], how >> 2 & 3);
    else
        put_raw(&files[which], header, bytes);
    if (which == DECOMPOSITION) read_decomposition(sealed);
    if (which == HASH) read_hash(sealed);
    if (which == SCORE) read_score(sealed);
    free(header.s);
    free(bytes.s);
    require(lf_alloc_live() == live);
    return 0;
}
