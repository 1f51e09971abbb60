/* Plain text: a file is one document. The store has no records; begin[] holds the sizes of the files. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/text/internal.h"
#include "io/unpack.h"

/* ---- files --------------------------------------------------------------------------------------------------------
 */

/* "a.txt", "a.txt.gz" */
static bool is_text_name(const char *name) {
    const size_t n = lf_packing_stem(name), extension = strlen(".txt");
    return n > extension && !strncmp(name + n - extension, ".txt", extension);
}

/* Of a packed file the content is mapped once and kept: cutting and encoding come back to it. */
static lf_status keep_unpacked(lf_text_store *s, const char *path, uint64_t *size, lf_err *err) {
    lf_text_map *m = &s->kept[s->n];
    const lf_status rc = lf_text_map_open(m, path, err);
    *size = m->base_size;
    if (rc || !m->unpacked) lf_text_map_close(m);
    return rc;
}

static lf_status add_file(lf_text_store *s, const char *path, int64_t *empty, lf_err *err) {
    struct stat st;
    uint64_t size;
    if (stat(path, &st)) return lf_fail_errno(err, "read", path);
    if (S_ISDIR(st.st_mode)) return LF_OK;
    lf_status rc = LF_OK;
    if (!(s->names[s->n] = lf_arena_strdup(s->arena, path))) return lf_no_memory(err, "the files of %s", s->path);
    size = (uint64_t)st.st_size;
    if (size && (rc = keep_unpacked(s, s->names[s->n], &size, err))) return rc;
    if (size) return lf_text_store_add(s, size, err);
    lf_text_map_close(&s->kept[s->n]);
    ++*empty;
    return LF_OK;
}

/* The map of a file; closing it leaves a kept one. */
static lf_status map_file(lf_text_map *m, const lf_text_store *s, int64_t file, lf_err *err) {
    if (!s->kept[file].unpacked) return lf_text_map_open(m, s->names[file], err);
    *m = s->kept[file];
    m->base = NULL;
    return LF_OK;
}

static lf_status index_files(lf_text_store *s, lf_err *err) {
    char **names = NULL;
    size_t n = 0;
    int64_t empty = 0;
    const bool folder = !s->given;
    lf_status rc = folder ? lf_list_dir(&names, &n, s->path, err) : LF_OK;
    if (!folder) n = (size_t)s->given->n;
    if (!rc && (!(s->names = lf_arena_alloc(s->arena, (n + 1) * sizeof *s->names)) ||
                !(s->kept = lf_arena_alloc(s->arena, (n + 1) * sizeof *s->kept))))
        rc = lf_no_memory(err, "the files of %s", s->path);
    for (size_t i = 0; !folder && i < n && !rc; i++) rc = add_file(s, s->given->at[i], &empty, err);
    for (size_t i = 0; folder && i < n && !rc; i++) {
        if (!is_text_name(names[i])) continue;
        char *path = lf_path_join(s->path, names[i]);
        rc = path ? add_file(s, path, &empty, err) : lf_no_memory(err, "%s", s->path);
        lf_free(path);
    }
    lf_free(names);
    if (!rc && s->n == 0 && folder && !empty)
        rc = lf_fail(err, LF_EDATA,
                     "%s: expected .txt files, or a file for each split such as train.jsonl; found neither", s->path);
    if (!rc && s->n && empty) lf_warn("%s: %" PRId64 " empty files are left out", s->path, empty);
    return rc;
}

const lf_text_format lf_text_text = {.name = "text", .windowed = true, .index = index_files};

/* ---- pieces -------------------------------------------------------------------------------------------------------
 */

static bool is_blank(char c) { return memchr(" \t\r\n\v\f", c, 6) != NULL; }

/* The first place from `from` on, or after some way the best so far, where a text may be cut. Best is behind a line
 * feed between two characters that are not blank: no tokenizer that splits text at blanks joins what is on its two
 * sides. Else before a blank, else between any two characters. */
static uint64_t cut_place(const lf_text_map *m, uint64_t from) {
    enum { FAR = 1 << 20 };
    uint64_t blank = 0, at = from;
    for (; at + 1 < m->size && at < from + FAR; at++) {
        const char *c = m->data + at;
        if (c[0] == '\n' && !is_blank(c[-1]) && !is_blank(c[1])) return at + 1;
        if (!blank && is_blank(c[0]) && !is_blank(c[-1])) blank = at;
    }
    if (blank) return blank;
    while (at < m->size && (m->data[at] & 0xc0) == 0x80) at++; /* not inside a character */
    return at + 1 < m->size ? at : m->size;
}

static bool add_piece(lf_text_piece **out, int64_t *n, int64_t *capacity, lf_text_piece p) {
    if (!lf_grow(out, capacity, *n + 1)) return false;
    (*out)[(*n)++] = p;
    return true;
}

lf_status lf_text_plain_pieces(lf_text_piece **out, int64_t *n, const lf_text_store *s, uint64_t piece_bytes,
                               lf_err *err) {
    int64_t capacity = 0;
    lf_status rc = LF_OK;
    *out = NULL;
    *n = 0;
    for (int64_t f = 0; f < s->n && !rc; f++) {
        lf_text_map m = {0};
        lf_text_piece p = {.file = f, .first = true, .end = s->begin[f]};
        const bool small = s->begin[f] <= piece_bytes;
        if (!small && (rc = map_file(&m, s, f, err))) break;
        do {
            if (!small) p.end = m.size - p.begin > piece_bytes ? cut_place(&m, p.begin + piece_bytes) : m.size;
            p.last = small || p.end >= m.size;
            if (!add_piece(out, n, &capacity, p)) rc = lf_no_memory(err, "%s", s->path);
            p.begin = p.end;
            p.first = false;
        } while (!rc && !p.last);
        lf_text_map_close(&m);
    }
    if (rc) {
        lf_free(*out);
        *out = NULL;
    }
    return rc;
}

static lf_status append(lf_text_tokens *out, const lf_ids *ids, const char *path, lf_err *err) {
    if (!lf_text_tokens_reserve(out, ids->n)) return lf_no_memory(err, "the tokens of %s", path);
    if (ids->n) memcpy(out->ids + out->n, ids->ids, (size_t)ids->n * sizeof *ids->ids);
    if (ids->n) memset(out->target + out->n, 1, (size_t)ids->n);
    out->n += ids->n;
    return LF_OK;
}

lf_status lf_text_plain_encode(lf_text_tokens *out, const lf_text_store *s, const lf_text_piece *p,
                               const lf_text_coder *c, lf_err *err) {
    const char *path = s->names[p->file];
    const int32_t eos = c->encoder.eos;
    lf_text_map m;
    lf_ids ids = {0};
    lf_status rc = map_file(&m, s, p->file, err);
    if (rc) return rc;
    const uint64_t end = p->last || p->end > m.size ? m.size : p->end;
    if ((p->last ? m.base_size != s->begin[p->file] : p->end > m.size))
        rc = lf_fail(err, LF_EDATA, "%s: changed while it is read; expected %" PRIu64 " bytes, found %zu", path,
                     s->begin[p->file], m.base_size);
    if (!rc && m.size) rc = lf_text_map_check_utf8(&m, p->begin, end, err);
    if (!rc && m.size)
        rc = c->encoder.encode(c->encoder.context, m.data + p->begin, (size_t)(end - p->begin), false, &ids, err);
    if (!rc) rc = lf_text_check_ids(ids.ids, ids.n, c, path, err);
    if (!rc && p->first) rc = append(out, &c->before, path, err);
    if (!rc) rc = append(out, &ids, path, err);
    if (!rc && p->last) rc = append(out, &c->after, path, err);
    out->closed = !rc && p->last && c->opts.training && eos >= 0 && !(out->n && out->ids[out->n - 1] == eos);
    if (out->closed) rc = append(out, &(lf_ids){.ids = (int32_t[]){eos}, .n = 1}, path, err);
    lf_ids_free(&ids);
    lf_text_map_close(&m);
    return rc;
}
