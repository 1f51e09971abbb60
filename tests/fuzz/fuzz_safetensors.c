/* Safetensors: the first byte says how. One file, any bytes, or a model's folder: an index up to a NUL, then files
 * (files.h), whose tensors are lines of text (tensors.h). One line of error, or tensors whose every byte can be read.
 */
#include "base/plain.h"
#include "files.h"
#include "tensors.h"

enum { SET_LENGTH = 1, FOLDER = 2 };

/* ---- what is read ---- */

static void check_tensors(lf_safetensors *st) {
    char hash[33];
    uint64_t total = 0;
    for (int64_t i = 0; i < lf_safetensors_count(st); i++) {
        const lf_st_tensor *t = lf_safetensors_at(st, i);
        uint64_t numel = 1;
        int64_t at = -1;
        float value = 0;
        for (int d = 0; d < t->ndim; d++) numel *= (uint64_t)t->shape[d];
        require(t->ndim <= LF_MAX_DIMS && numel == (uint64_t)t->numel && t->size == numel * lf_dtype_size(t->dtype));
        require(lf_safetensors_find(st, t->name) == t);
        require(i == 0 || strcmp(lf_safetensors_at(st, i - 1)->name, t->name) < 0);
        require(!lf_st_has_no_number(t, &at, &value) || (at >= 0 && at < t->numel && !(value - value == 0)));
        require(t->size == 0 || strcmp(lf_mapped_file(t->data), t->path) == 0);
        lf_safetensors_drop_pages(st, t);
        total += t->size;
    }
    lf_safetensors_drop_all(st);
    require(lf_safetensors_hash(st, hash, NULL) == LF_OK && strlen(hash) == 32); /* reads all bytes */
    (void)lf_safetensors_metadata(st, "format");
    require(total < UINT64_C(1) << 40);
}

/* A file that is mapped already is mapped once. */
static void open_again(const lf_safetensors *st) {
    lf_safetensors *again = NULL;
    lf_file_state state;
    int64_t n = 0;
    require(lf_safetensors_open(&again, lf_safetensors_path(st), NULL) == LF_OK);
    for (int64_t i = 0; i < lf_safetensors_count(st); i++)
        require(lf_safetensors_at(st, i)->data == lf_safetensors_at(again, i)->data);
    lf_safetensors_close(again);
    while (lf_safetensors_file(st, n, &state)) n++;
    require(n > 0 || lf_safetensors_count(st) == 0);
    require(lf_safetensors_as_opened(st) && !lf_is_remote(own_folder()) && !lf_mapped_file(&state));
}

/* ---- files ---- */

/* Most inputs would fail at the length: set right, to the first NUL, or the end. */
static void set_length(char *bytes, size_t size) {
    const char *end = size > 8 ? memchr(bytes + 8, 0, size - 8) : NULL;
    const uint64_t length = size < 8 ? 0 : (end ? (size_t)(end - bytes) : size) - 8;
    for (size_t i = 0; i < 8 && i < size; i++) bytes[i] = (char)(length >> (8 * i));
}

static const char *put_single(fuzz_input *in, bool sets_length) {
    const fuzz_part bytes = take_rest(in);
    if (sets_length) set_length(bytes.s, bytes.n);
    const char *path = put_file("one.safetensors", bytes.s, bytes.n);
    free(bytes.s);
    return path;
}

/* Each file of tensors was put as its lines. */
static const char *put_model(fuzz_input *in) {
    static const char *const shards[] = {"model/a.safetensors", "model/b.safetensors", "model/model.safetensors"};
    const fuzz_part index = take_part(in);
    put_folder("model", in);
    for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
        fuzz_part lines = {0};
        if (!lf_is_file(in_folder(shards[i])) || lf_file_read(&lines.s, &lines.n, in_folder(shards[i]), NULL)) continue;
        put_tensors(in_folder(shards[i]), lines, NULL, 0);
        lf_free(lines.s);
    }
    if (index.n) put_below("model", "model.safetensors.index.json", index);
    free(index.s);
    return in_folder("model");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_safetensors *st = NULL;
    lf_err err = {0};
    lf_log_set_level(LF_LOG_QUIET);
    const uint8_t how = take_byte(&in);
    const char *path = how & FOLDER ? put_model(&in) : put_single(&in, how & SET_LENGTH);
    const lf_status rc = lf_safetensors_open(&st, path, &err);
    require_said(rc, &err);
    require((rc == LF_OK) == (st != NULL) && (rc == LF_OK || lf_status_exit_code(rc) == 3));
    if (st) {
        check_tensors(st);
        open_again(st);
    }
    lf_safetensors_close(st);
    require(lf_alloc_live() == 0);
    return 0;
}
