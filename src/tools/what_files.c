/* Single files: weights, tokenizers, pictures, JSON by its keys, and what is compressed or not read. */
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "data/image/image.h"
#include "io/gzip.h"
#include "io/safetensors.h"
#include "text/tokenizer.h"
#include "tools/what_internal.h"

/* ---- safetensors ---- */

lf_status lf_what_tensors(lf_what_of *w, const char *path) {
    lf_safetensors *st = NULL;
    lf_err found = {0};
    int64_t numbers = 0, of_dtype[LF_N_DTYPES] = {0};
    const lf_status rc = lf_safetensors_open(&st, path, &found);
    const int64_t n = rc ? 0 : lf_safetensors_count(st);
    for (int64_t i = 0; i < n; i++) {
        const lf_st_tensor *t = lf_safetensors_at(st, i);
        numbers += t->numel;
        of_dtype[t->dtype]++;
    }
    if (!rc) {
        lf_what_count(w, "tensors", n);
        lf_what_count(w, "numbers", numbers);
        lf_obj dtypes = lf_obj_new();
        for (int d = 0; d < LF_N_DTYPES; d++)
            if (of_dtype[d]) lf_obj_number(&dtypes, lf_dtype_name((lf_dtype)d), (double)of_dtype[d]);
        lf_obj_put(&w->facts, "tensors_of", lf_obj_take(&dtypes));
    }
    lf_safetensors_close(st);
    return lf_what_note(w, rc, &found);
}

bool lf_kind_is_safetensors(const lf_what_of *w) {
    static const unsigned char header[] = {0, 0, '{'}; /* of less than 2^48 bytes, little endian */
    return lf_has_extension(w->name, "safetensors") ||
           (w->n_begins > 8 && memcmp(w->begins + 6, header, sizeof header) == 0);
}

lf_status lf_kind_look_safetensors(lf_what_of *w) { return lf_what_tensors(w, w->path); }

/* ---- IDX ---- */

enum { IDX_MOST = 1 << 30 };

bool lf_kind_is_idx(const lf_what_of *w) {
    const bool by_bytes = w->n_begins > 4 && memcmp(w->begins, "\0\0\x08", 3) == 0 && w->begins[3] < 8;
    return by_bytes || strstr(w->name, "-idx1-ubyte") || strstr(w->name, "-idx3-ubyte");
}

/* Its sizes, which must be those of the file. */
static lf_status idx_sizes(lf_what_of *w, const unsigned char *b, size_t size, lf_err *err) {
    const size_t dims = size > 4 ? b[3] : 0;
    uint64_t numbers = 1;
    lf_obj list = lf_list_new();
    bool too_many = false;
    for (size_t i = 0; i < dims && 4 * (i + 2) <= size; i++) {
        const unsigned char *p = b + 4 * (i + 1);
        const uint32_t n = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        too_many = too_many || __builtin_mul_overflow(numbers, n, &numbers);
        lf_list_put(&list, cJSON_CreateNumber(n));
    }
    lf_obj_put(&w->facts, "sizes", lf_obj_take(&list));
    if (dims && 4 * (dims + 1) <= size && !too_many && numbers == size - 4 * (dims + 1)) return LF_OK;
    return lf_fail(err, LF_EDATA,
                   "%s: its header does not say what is in it: %zu dimensions in %zu bytes; is the "
                   "download complete?",
                   w->path, dims, size);
}

lf_status lf_kind_look_idx(lf_what_of *w) {
    unsigned char *bytes = NULL;
    size_t size = 0;
    lf_err found = {0};
    lf_status rc = lf_read_maybe_gzip(&bytes, &size, w->path, IDX_MOST, &found);
    if (!rc) rc = idx_sizes(w, bytes, size, &found);
    lf_free(bytes);
    return lf_what_note(w, rc, &found);
}

/* ---- pictures ---- */

bool lf_kind_is_picture(const lf_what_of *w) { return lf_image_format(w->begins, w->n_begins, w->name) != NULL; }

lf_status lf_kind_look_picture(lf_what_of *w) {
    lf_image img = {0};
    lf_err found = {0};
    lf_obj_string(&w->facts, "format", lf_image_format(w->begins, w->n_begins, w->name));
    const lf_status rc = lf_image_load(&img, w->path, &found);
    if (!rc) {
        lf_what_count(w, "width", img.width);
        lf_what_count(w, "height", img.height);
        lf_what_count(w, "channels", img.channels);
    }
    lf_image_free(&img);
    return lf_what_note(w, rc, &found);
}

/* ---- tokenizers ---- */

bool lf_kind_is_tokenizer(const lf_what_of *w) {
    return strcmp(w->name, LF_VOCAB_TXT) == 0 ||
           (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(w->json, "model")) &&
            cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(w->json, "model"), "vocab"));
}

lf_status lf_kind_look_tokenizer(lf_what_of *w) {
    lf_tokenizer *t = NULL;
    lf_err found = {0};
    lf_status rc = lf_tokenizer_open(&t, w->path, &found);
    if (!rc && !lf_tokenizer_vocab_size(t)) rc = lf_fail(&found, LF_EDATA, "%s: has no token", w->path);
    if (!rc) {
        const struct {
            const char *key;
            int32_t id;
        } special[] = {{"bos_token", lf_tokenizer_bos(t)},
                       {"eos_token", lf_tokenizer_eos(t)},
                       {"pad_token", lf_tokenizer_pad(t)},
                       {"unk_token", lf_tokenizer_unk(t)}};
        lf_what_count(w, "vocab_size", lf_tokenizer_vocab_size(t));
        for (size_t i = 0; i < sizeof special / sizeof *special; i++)
            if (special[i].id >= 0) lf_obj_string(&w->facts, special[i].key, lf_tokenizer_token(t, special[i].id));
    }
    lf_tokenizer_free(t);
    return lf_what_note(w, rc, &found);
}

lf_status lf_kind_look_tokenizer_folder(lf_what_of *w) { return lf_kind_look_tokenizer(w); }

/* ---- JSON ---- */

/* By keys that it has ("a|b": all of them): what it is, and which of its members are shown beside those that are keys.
 */
static const struct {
    const char *keys, *what;
    const char *const shown[3]; /* ends with NULL */
} jsons[] = {
    {"global_step|max_steps", "the counters of a checkpoint", {"global_step"}},
    {"swept|runs", "the points of a sweep", {"swept"}},
    {"output_dir|learning_rate", "the configuration of a run", {NULL}},
    {"peft_type", "the configuration of an adapter", {"peft_type", "base_model_name_or_path"}},
    {"model_type", "the configuration of a model", {"model_type", "hidden_size"}},
    {"weight_map", "an index of shards", {"metadata"}},
    {"image_mean|image_std", "how pictures are prepared", {"image_processor_type", "size"}},
    {"tokenizer_class", "the configuration of a tokenizer", {"tokenizer_class"}},
    {"base_hash", "the facts of an adapter", {"base_hash", "version"}},
    {"exit_code|message", "how a run failed", {"exit_code", "message"}},
    {"train_seconds|made", "the results of a run", {"made"}},
    {"train_data", "a configuration", {NULL}},
};

static bool has_keys(const cJSON *o, const char *keys) {
    for (lf_slice key; lf_next_item(&keys, &key);) {
        const cJSON *v = o ? o->child : NULL;
        while (v && !lf_slice_equal(key, v->string)) v = v->next;
        if (!v) return false;
    }
    return true;
}

/* A list of records is data. */
bool lf_kind_is_json(const lf_what_of *w) {
    return lf_has_extension(w->name, "json") && (!w->json || cJSON_IsObject(w->json));
}

lf_status lf_kind_look_json(lf_what_of *w) {
    enum { N = sizeof jsons / sizeof *jsons };
    if (!w->json) return lf_what_note(w, w->not_json.status, &w->not_json);
    size_t i = 0;
    while (i < N && !has_keys(w->json, jsons[i].keys)) i++;
    lf_obj_string(&w->facts, "what", i < N ? jsons[i].what : "an object");
    lf_what_count(w, "keys", cJSON_GetArraySize(w->json));
    if (i < N) lf_what_members(w, w->json, true, jsons[i].shown);
    return LF_OK;
}

/* ---- others ---- */

bool lf_kind_is_packed(const lf_what_of *w) { return lf_packing_of(w->begins, w->n_begins) != NULL; }

/* All of it is unpacked, so that damage shows. */
lf_status lf_kind_look_packed(lf_what_of *w) {
    lf_err found = {0};
    int64_t bytes = 0;
    const lf_status rc = lf_unpacked_size(&bytes, w->path, &found);
    if (!rc) lf_what_count(w, "unpacked_bytes", bytes);
    return lf_what_note(w, rc, &found);
}

bool lf_kind_is_not_read(const lf_what_of *w) { return lf_refuse_kind(w->begins, w->n_begins, w->path, NULL) != LF_OK; }

lf_status lf_kind_look_not_read(lf_what_of *w) {
    lf_err found = {0};
    return lf_what_note(w, lf_refuse_kind(w->begins, w->n_begins, w->path, &found), &found);
}

/* Of its beginning every byte is a character, none of them one that texts do not have; the last may be cut off. */
bool lf_kind_is_text(const lf_what_of *w) {
    const char *s = (const char *)w->begins;
    for (size_t i = 0; i < w->n_begins; i++)
        if (w->begins[i] < 0x20 && !memchr("\t\n\r\f\x1b", w->begins[i], 5)) return false;
    return w->n_begins - lf_utf8_invalid(s, w->n_begins) < 4;
}

lf_status lf_kind_look_text(lf_what_of *w) {
    char *s = NULL;
    size_t n = 0, bad;
    int64_t lines = 0;
    lf_err found = {0};
    lf_status rc = lf_file_read(&s, &n, w->path, &found);
    for (size_t i = 0; i < n && !rc; i++) lines += s[i] == '\n';
    if (!rc && (bad = lf_utf8_invalid(s, n)) < n)
        rc = lf_fail(&found, LF_EDATA, "%s: byte %zu is not UTF-8", w->path, bad);
    lf_what_count(w, "lines", lines);
    lf_free(s);
    return lf_what_note(w, rc, &found);
}
