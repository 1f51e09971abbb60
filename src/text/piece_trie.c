#include "text/piece_trie.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void lf_piece_trie_free(lf_piece_trie *t) {
    lf_free(t->nodes);
    lf_free(t->bytes);
    *t = (lf_piece_trie){0};
}

uint32_t lf_piece_trie_next(const lf_piece_trie *t, uint32_t at, unsigned char byte) {
    const lf_piece_node *node = &t->nodes[at];
    if (node->n_children == 0) return 0;
    const unsigned char *bytes = t->bytes + node->children, *hit = memchr(bytes, byte, node->n_children);
    return hit ? node->children + (uint32_t)(hit - bytes) : 0;
}

/* ---- making: the tokens in order, then level by level ---- */

typedef struct sorted_piece {
    const char *s;
    uint32_t size;
    int32_t id;
} sorted_piece;

static int by_text(const void *a, const void *b) {
    const sorted_piece *x = a, *y = b;
    const int c = memcmp(x->s, y->s, x->size < y->size ? x->size : y->size);
    return c ? c : (x->size > y->size) - (x->size < y->size);
}

/* The tokens below one node: pieces[begin .. end), which have `depth` bytes in common. */
typedef struct range {
    uint32_t begin, end, depth;
} range;

typedef struct making {
    lf_piece_trie *t;
    const sorted_piece *pieces;
    range *ranges; /* of each node */
    size_t n_nodes, nodes_capacity, bytes_capacity, ranges_capacity;
} making;

static bool add_node(making *m, unsigned char byte, range r) {
    const size_t n = m->n_nodes + 1;
    if (n > UINT32_MAX || !lf_grow(&m->t->nodes, &m->nodes_capacity, n) ||
        !lf_grow(&m->t->bytes, &m->bytes_capacity, n) || !lf_grow(&m->ranges, &m->ranges_capacity, n))
        return false;
    m->t->nodes[m->n_nodes] = (lf_piece_node){.id = -1};
    m->t->bytes[m->n_nodes] = byte;
    m->ranges[m->n_nodes++] = r;
    return true;
}

/* Gives node `at` its token and its children. */
static bool open_node(making *m, size_t at) {
    range r = m->ranges[at];
    if (r.begin < r.end && m->pieces[r.begin].size == r.depth) m->t->nodes[at].id = m->pieces[r.begin++].id;
    m->t->nodes[at].children = (uint32_t)m->n_nodes;
    for (uint32_t i = r.begin, end; i < r.end; i = end) {
        const char byte = m->pieces[i].s[r.depth];
        for (end = i + 1; end < r.end && m->pieces[end].s[r.depth] == byte;) end++;
        if (!add_node(m, (unsigned char)byte, (range){i, end, r.depth + 1})) return false;
        m->t->nodes[at].n_children++;
    }
    return true;
}

static sorted_piece *sort_pieces(const lf_vocab *v, uint32_t *n) {
    sorted_piece *out = lf_malloc((v->count_model + 1) * sizeof *out);
    *n = 0;
    if (!out) return NULL;
    for (size_t i = 0; i < v->n; i++)
        if (v->tokens[i].flags & LF_TOKEN_MODEL)
            out[(*n)++] = (sorted_piece){lf_vocab_text(v, (int32_t)i), v->tokens[i].size, (int32_t)i};
    qsort(out, *n, sizeof *out, by_text);
    return out;
}

bool lf_piece_trie_make(lf_piece_trie *out, const lf_vocab *vocab) {
    uint32_t n;
    sorted_piece *pieces = sort_pieces(vocab, &n);
    making m = {.t = out, .pieces = pieces};
    *out = (lf_piece_trie){0};
    bool good = pieces && add_node(&m, 0, (range){0, n, 0});
    for (size_t at = 0; at < m.n_nodes && good; at++) good = open_node(&m, at);
    out->n = m.n_nodes;
    lf_free(m.ranges);
    lf_free(pieces);
    if (!good) lf_piece_trie_free(out);
    return good;
}
