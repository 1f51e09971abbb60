/* The pages of a column in a row group, decoded when they are asked for; and the cache of them. */
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "parquet/internal.h"

/* ---- the cache -----------------------------------------------------------------------------------------------------
 * A list of all decoded pages of the process, the last used first. Pages that somebody holds stay, whatever the limit.
 */

static struct {
    pthread_mutex_t lock;
    lf_pq_page *newest, *oldest;
    size_t bytes, limit;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER, .limit = (size_t)256 << 20};

static void unlink_page(lf_pq_page *p) {
    *(p->newer ? &p->newer->older : &cache.newest) = p->older;
    *(p->older ? &p->older->newer : &cache.oldest) = p->newer;
    p->newer = p->older = NULL;
}

static void link_newest(lf_pq_page *p) {
    p->older = cache.newest;
    p->newer = NULL;
    *(cache.newest ? &cache.newest->newer : &cache.oldest) = p;
    cache.newest = p;
}

static void drop(lf_pq_page *p) {
    unlink_page(p);
    cache.bytes -= p->decoded->size;
    lf_pq_decoded_free(p->decoded);
    p->decoded = NULL;
    if (p->dictionary_used) p->dictionary_used->users--;
    p->dictionary_used = NULL;
}

/* A page's dictionary is older than it, and held by it: so another pass may find more to drop. */
static void make_room(void) {
    bool dropped = true;
    while (cache.bytes > cache.limit && dropped) {
        dropped = false;
        for (lf_pq_page *p = cache.oldest, *newer; p && cache.bytes > cache.limit; p = newer) {
            newer = p->newer;
            if (p->users) continue;
            drop(p);
            dropped = true;
        }
    }
}

size_t lf_parquet_cache_limit(size_t bytes) {
    pthread_mutex_lock(&cache.lock);
    const size_t before = cache.limit;
    cache.limit = bytes;
    make_room();
    pthread_mutex_unlock(&cache.lock);
    return before;
}

/* Holds the page if it is decoded. */
static const lf_pq_decoded *recall(lf_pq_page *p) {
    pthread_mutex_lock(&cache.lock);
    const lf_pq_decoded *d = p->decoded;
    if (d) {
        p->users++;
        unlink_page(p);
        link_newest(p);
    }
    pthread_mutex_unlock(&cache.lock);
    return d;
}

/* Takes over what was decoded, and the hold on its dictionary; holds the page. Another thread may have been faster. */
static const lf_pq_decoded *keep(lf_pq_page *p, lf_pq_decoded *made, lf_pq_page *dictionary) {
    pthread_mutex_lock(&cache.lock);
    p->users++;
    lf_pq_decoded *spare = p->decoded ? made : NULL;
    if (spare) {
        if (dictionary) dictionary->users--;
        unlink_page(p);
    } else {
        p->decoded = made;
        p->dictionary_used = dictionary;
        cache.bytes += made->size;
    }
    link_newest(p);
    const lf_pq_decoded *d = p->decoded;
    make_room();
    pthread_mutex_unlock(&cache.lock);
    lf_pq_decoded_free(spare);
    return d;
}

static void let_go(lf_pq_page *p) {
    if (!p) return;
    pthread_mutex_lock(&cache.lock);
    p->users--;
    make_room();
    pthread_mutex_unlock(&cache.lock);
}

void lf_pq_chunk_free(lf_pq_chunk *c) {
    pthread_mutex_lock(&cache.lock);
    for (int64_t i = c->n_pages - 1; i >= 0; i--)
        if (c->pages[i].decoded) drop(&c->pages[i]);
    pthread_mutex_unlock(&cache.lock);
    lf_free(c->pages);
    c->pages = NULL;
    c->n_pages = 0;
}

/* ---- the index -----------------------------------------------------------------------------------------------------
 */

static bool is_repeated(const lf_pq_where *w) { return w->p->nodes[w->p->leaves[w->leaf]].max_rep > 0; }

typedef struct indexing {
    const lf_pq_where *where;
    const lf_pq_chunk *chunk;
    lf_pq_page *pages;
    int64_t n, room;
    int64_t entries, rows; /* so far */
    int64_t dictionary_n;  /* its values; -1: none */
    lf_err *err;
} indexing;

/* Which row begins where in a column of lists is known by its levels alone. */
static lf_status count_rows(int64_t *rows, const indexing *x, const lf_pq_page *page) {
    lf_pq_decoded *d = NULL;
    *rows = page->n;
    if (!is_repeated(x->where)) return LF_OK;
    const lf_status rc = lf_pq_page_decode(&d, page, &x->chunk->meta, x->dictionary_n, x->where, x->err);
    if (rc) return rc;
    *rows = d->n_starts;
    const bool follows = x->entries > 0 || d->n_starts == 0 || d->starts[0] == 0;
    lf_pq_decoded_free(d);
    return follows ? LF_OK : lf_pq_damaged(x->where, x->err, "it begins within a row");
}

static lf_status add_page(indexing *x, lf_pq_page page) {
    lf_status rc = LF_OK;
    int64_t rows;
    if (!page.dictionary && page.n == 0) return LF_OK; /* an index page, or one of nothing */
    if (page.dictionary && x->n) return lf_pq_damaged(x->where, x->err, "a dictionary behind other pages");
    if (page.dictionary) {
        x->dictionary_n = page.n;
    } else {
        page.first_row = x->rows;
        if ((rc = count_rows(&rows, x, &page))) return rc;
        x->rows += rows;
        x->entries += page.n;
    }
    if (!lf_grow(&x->pages, &x->room, x->n + 1)) return lf_no_memory(x->err, "the pages of %s", x->where->p->path);
    x->pages[x->n++] = page;
    return LF_OK;
}

static lf_status check_counts(const indexing *x) {
    const lf_pq_group *g = &x->where->p->groups[x->where->group];
    if (x->entries != x->chunk->meta.n_values || x->rows != g->n_rows)
        return lf_pq_damaged(x->where, x->err,
                             "expected %" PRId64 " rows and %" PRId64 " values, found %" PRId64 " and %" PRId64,
                             g->n_rows, x->chunk->meta.n_values, x->rows, x->entries);
    return LF_OK;
}

/* Pages up to the number of values that the footer gives: what follows is of no column. */
static lf_status make_index(indexing *x) {
    const lf_pq_meta *m = &x->chunk->meta;
    lf_status rc = LF_OK;
    for (uint64_t at = m->begin; !rc && at < m->end && x->entries < m->n_values;) {
        lf_pq_page page;
        if (!(rc = lf_pq_page_header(&page, &at, m, x->where, x->err))) rc = add_page(x, page);
    }
    return rc ? rc : check_counts(x);
}

/* The pages of c, which stay where they are from then on. */
static lf_status find_pages(lf_pq_chunk *c, const lf_pq_where *w, lf_err *err) {
    pthread_mutex_lock(&cache.lock);
    const bool there = c->pages;
    pthread_mutex_unlock(&cache.lock);
    if (there) return LF_OK;
    indexing x = {.where = w, .chunk = c, .dictionary_n = -1, .err = err};
    lf_status rc = make_index(&x);
    if (!rc && !x.pages) rc = lf_pq_damaged(w, err, "no pages");
    pthread_mutex_lock(&cache.lock);
    if (!rc && !c->pages) {
        c->has_dictionary = x.pages[0].dictionary;
        c->n_pages = x.n;
        c->pages = x.pages;
        x.pages = NULL;
    }
    pthread_mutex_unlock(&cache.lock);
    lf_free(x.pages);
    return rc;
}

/* ---- a page --------------------------------------------------------------------------------------------------------
 */

static lf_status hold(const lf_pq_decoded **out, lf_pq_page *page, lf_pq_chunk *c, const lf_pq_where *w, lf_err *err) {
    if ((*out = recall(page))) return LF_OK;
    lf_pq_page *dictionary = c->has_dictionary && !page->dictionary ? &c->pages[0] : NULL;
    lf_pq_decoded *made;
    lf_status rc = LF_OK;
    if (dictionary && !recall(dictionary)) {
        if ((rc = lf_pq_page_decode(&made, dictionary, &c->meta, -1, w, err))) return rc;
        (void)keep(dictionary, made, NULL);
    }
    if ((rc = lf_pq_page_decode(&made, page, &c->meta, dictionary ? dictionary->n : -1, w, err))) {
        let_go(dictionary);
        return rc;
    }
    *out = keep(page, made, dictionary);
    return LF_OK;
}

/* ---- the cursor ----------------------------------------------------------------------------------------------------
 */

static lf_status enter_page(lf_pq_cursor *c, int64_t number, lf_err *err) {
    lf_pq_page *page = &c->chunk->pages[number];
    const lf_status rc = hold(&c->decoded, page, c->chunk, &c->where, err);
    if (rc) return rc;
    c->page = number;
    c->values =
        c->decoded->index && c->chunk->has_dictionary ? &c->chunk->pages[0].decoded->values : &c->decoded->values;
    return LF_OK;
}

void lf_pq_cursor_close(lf_pq_cursor *c) {
    if (c->decoded) let_go(&c->chunk->pages[c->page]);
    c->decoded = NULL;
}

static void look_at(lf_pq_cursor *c) {
    c->rep = c->decoded->rep ? c->decoded->rep[c->entry] : 0;
    c->def = c->decoded->def ? c->decoded->def[c->entry] : 0;
}

/* The last page that begins at `row` or before. A page in which no row begins stands behind one in which one does. */
static int64_t page_of(const lf_pq_chunk *c, int64_t row) {
    int64_t low = c->has_dictionary ? 1 : 0, high = c->n_pages - 1;
    while (low < high) {
        const int64_t middle = low + (high - low + 1) / 2;
        if (c->pages[middle].first_row <= row)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

lf_status lf_pq_cursor_open(lf_pq_cursor *c, const lf_parquet *p, int64_t group, int leaf, int64_t row, lf_err *err) {
    *c = (lf_pq_cursor){.where = {p, group, leaf}, .chunk = &p->groups[group].chunks[leaf]};
    lf_status rc = find_pages(c->chunk, &c->where, err);
    if (!rc) rc = enter_page(c, page_of(c->chunk, row), err);
    if (rc) return rc;
    const int64_t start = row - c->chunk->pages[c->page].first_row;
    if (start >= c->decoded->n_starts) return lf_pq_damaged(&c->where, err, "a row is not where it should be");
    c->entry = c->decoded->starts ? c->decoded->starts[start] : start;
    look_at(c);
    return LF_OK;
}

lf_status lf_pq_cursor_next(lf_pq_cursor *c, lf_err *err) {
    c->entry++;
    if (!c->decoded->rep) { /* a flat column: one entry a row */
        c->ended = true;
        return LF_OK;
    }
    if (c->entry == c->decoded->n) { /* a list may go on in the next page */
        if (c->page + 1 == c->chunk->n_pages) {
            c->ended = true;
            return LF_OK;
        }
        const int64_t next = c->page + 1;
        lf_pq_cursor_close(c);
        const lf_status rc = enter_page(c, next, err);
        if (rc) return rc;
        c->entry = 0;
    }
    look_at(c);
    c->ended = c->rep == 0;
    return LF_OK;
}

void lf_pq_cursor_value(const lf_pq_cursor *c, uint64_t *bits, const unsigned char **bytes, size_t *n) {
    const lf_pq_decoded *d = c->decoded;
    const lf_pq_values *v = c->values;
    uint64_t i = d->place ? d->place[c->entry] : (uint64_t)c->entry;
    if (d->index) i = d->index[i];
    *bits = 0;
    *bytes = NULL;
    *n = 0;
    if (v->bits) {
        *bits = v->bits[i];
    } else if (v->slices) {
        *bytes = v->bytes + v->slices[i].at;
        *n = v->slices[i].n;
    } else {
        *bytes = v->bytes + i * v->fixed;
        *n = v->fixed;
    }
}
