/* Plain text: a file is one document. The store has no records; begin[] holds the sizes of the files. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/left_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mistaken.h"
#include "data/text/internal.h"
#include "data/walk.h"
#include "io/unpack.h"

/* ---- files --------------------------------------------------------------------------------------------------------
 */

typedef struct gathering {
    const char *folder;
    lf_paths texts;
    lf_left_out others;
} gathering;

static lf_status meet_file(void *context, const char *path, lf_err *err) {
    gathering *g = context;
    const char *name = lf_path_base(path);
    const bool ok = lf_text_is_plain_name(name)     ? lf_paths_add(&g->texts, path)
                    : lf_text_is_about_folder(name) ? lf_left_out_add(&g->others, "README")
                                                    : lf_left_out_add_file(&g->others, path);
    return ok ? LF_OK : lf_no_memory(err, "the files of %s", g->folder);
}

static int by_path(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static lf_status gather(gathering *g, lf_err *err) {
    const lf_walk walk = {.context = g, .file = meet_file, .known_file = lf_text_is_plain_name};
    char found[512];
    const lf_status rc = lf_walk_files(&walk, g->folder, err);
    if (rc) return rc;
    if (!g->texts.n)
        return lf_fail(err, LF_EDATA,
                       "%s: expected .txt, .text or .md files, or a file for each split such as train.jsonl; found %s",
                       g->folder, g->others.n ? lf_left_out_text(&g->others, found, sizeof found) : "neither");
    qsort(g->texts.at, (size_t)g->texts.n, sizeof *g->texts.at, by_path);
    if (g->others.n)
        lf_warn("%s: only .txt, .text and .md files are read; left out: %s", g->folder,
                lf_left_out_text(&g->others, found, sizeof found));
    return LF_OK;
}

/* Of the files that are added, for one warning each. */
typedef struct adding {
    int64_t empty, odd;
    const char *first, *like; /* of the odd ones: those that begin like something else */
} adding;

/* Of a packed file the content is mapped once and kept: cutting and encoding come back to it. */
static lf_status keep_unpacked(lf_text_store *s, const char *path, uint64_t *size, adding *a, lf_err *err) {
    lf_text_map *m = &s->kept[s->n];
    const lf_status rc = lf_text_map_open(m, path, err);
    *size = m->base_size;
    const char *mistaken = rc ? NULL : lf_mistaken_text(m->data, m->size);
    if (mistaken && a->odd++ == 0) {
        a->first = path;
        a->like = mistaken;
    }
    if (rc || !m->unpacked) lf_text_map_close(m);
    return rc;
}

static lf_status add_file(lf_text_store *s, const char *path, adding *a, lf_err *err) {
    struct stat st;
    uint64_t size;
    if (stat(path, &st)) return lf_fail_errno(err, "read", path);
    if (S_ISDIR(st.st_mode)) return LF_OK;
    lf_status rc = LF_OK;
    if (!(s->names[s->n] = lf_arena_strdup(s->arena, path))) return lf_no_memory(err, "the files of %s", s->path);
    size = (uint64_t)st.st_size;
    if (size && (rc = keep_unpacked(s, s->names[s->n], &size, a, err))) return rc;
    if (size) return lf_text_store_add(s, size, err);
    lf_text_map_close(&s->kept[s->n]);
    a->empty++;
    return LF_OK;
}

/* The map of a file; closing it leaves a kept one. */
static lf_status map_file(lf_text_map *m, const lf_text_store *s, int64_t file, lf_err *err) {
    if (!s->kept[file].unpacked) return lf_text_map_open(m, s->names[file], err);
    *m = s->kept[file];
    m->mapping = NULL;
    return LF_OK;
}

static lf_status add_files(lf_text_store *s, const lf_paths *files, lf_err *err) {
    const size_t n = (size_t)files->n;
    adding a = {0};
    lf_status rc = LF_OK;
    if (!(s->names = lf_arena_alloc(s->arena, (n + 1) * sizeof *s->names)) ||
        !(s->kept = lf_arena_alloc(s->arena, (n + 1) * sizeof *s->kept)))
        return lf_no_memory(err, "the files of %s", s->path);
    for (size_t i = 0; i < n && !rc; i++) rc = add_file(s, files->at[i], &a, err);
    if (!rc && s->n && a.empty) lf_warn("%s: %" PRId64 " empty files are left out", s->path, a.empty);
    if (!rc && a.odd)
        lf_warn("%s: %" PRId64 " of %" PRId64 " files of plain text begin like something else, '%s' like %s", s->path,
                a.odd, s->n, a.first, a.like);
    return rc;
}

static lf_status index_files(lf_text_store *s, lf_err *err) {
    if (s->given) return add_files(s, s->given, err);
    gathering g = {.folder = s->path};
    lf_status rc = gather(&g, err);
    if (!rc) rc = add_files(s, &g.texts, err);
    lf_paths_free(&g.texts);
    lf_left_out_free(&g.others);
    return rc;
}

const lf_text_format lf_text_text = {.name = "text", .windowed = true, .index = index_files};

/* ---- pieces -------------------------------------------------------------------------------------------------------
 */

static bool is_blank(char c) { return memchr(" \t\r\n\v\f", c, 6) != NULL; }

/* Is there a line break just before `at`, with no blank before or behind it? */
static bool between_lines(const lf_text_map *m, uint64_t at) {
    const char *const s = m->data + at;
    const uint64_t n = s[-1] == '\n' && at >= 2 && s[-2] == '\r' ? 2 : 1;
    return (s[-1] == '\n' || s[-1] == '\r') && at > n && !is_blank(s[-1 - (int64_t)n]) && !is_blank(*s);
}

/* The first place from `from` on, or after some way the best so far, where a text may be cut. Best is behind a line
 * break between two characters that are not blank: no tokenizer that splits text at blanks joins what is on its two
 * sides. Else before a blank, else between any two characters; never between a carriage return and its line feed, which
 * are one. */
static uint64_t cut_place(const lf_text_map *m, uint64_t from) {
    enum { FAR = 1 << 20 };
    uint64_t blank = 0, at = from;
    for (; at + 1 < m->size && at < from + FAR; at++) {
        const char *c = m->data + at;
        if (between_lines(m, at + 1)) return at + 1;
        if (!blank && is_blank(c[0]) && !is_blank(c[-1])) blank = at;
    }
    if (blank) return blank;
    while (at < m->size && (m->data[at] & 0xc0) == 0x80) at++; /* not inside a character */
    if (at < m->size && m->data[at] == '\n' && m->data[at - 1] == '\r') at++;
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

/* Lines end in a line feed, as in Python's text mode: *out are the n bytes at s with CRLF and lone carriage returns
 * made one, in `copy` if there are any (the file's own bytes are only read). */
static bool unify_lines(const char **out, size_t *n, const char *s, lf_string *copy) {
    const char *const end = s + *n, *from = s, *cr = memchr(s, '\r', *n);
    *out = s;
    if (!cr) return true;
    for (; cr; cr = memchr(from, '\r', (size_t)(end - from))) {
        lf_string_put(copy, from, (size_t)(cr - from));
        lf_string_put(copy, "\n", 1);
        from = cr + (cr + 1 < end && cr[1] == '\n' ? 2 : 1);
    }
    lf_string_put(copy, from, (size_t)(end - from));
    *out = copy->s;
    *n = copy->n;
    return !copy->failed;
}

static lf_status encode_bytes(lf_ids *ids, const char *s, size_t n, const lf_text_coder *c, const char *path,
                              lf_err *err) {
    lf_string copy = {0};
    const char *text;
    const lf_status rc = unify_lines(&text, &n, s, &copy)
                             ? c->encoder.encode(c->encoder.context, text, n, false, ids, err)
                             : lf_no_memory(err, "a piece of %s", path);
    lf_string_free(&copy);
    return rc;
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
    if (!rc && m.size) rc = encode_bytes(&ids, m.data + p->begin, (size_t)(end - p->begin), c, path, err);
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
