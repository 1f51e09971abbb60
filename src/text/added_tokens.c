#include "text/added_tokens.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/unicode.h"

void lf_trie_start(lf_trie *trie) {
    *trie = (lf_trie){0};
    memset(trie->first, 0xff, sizeof trie->first);
}

void lf_added_tokens_free(lf_added_tokens *a) {
    lf_free(a->at);
    lf_free(a->plain.nodes);
    lf_free(a->normalized.nodes);
    *a = (lf_added_tokens){0};
}

bool lf_trie_add(lf_trie *trie, const char *s, size_t n, int32_t token) {
    int32_t parent = -1, at = -1;
    for (size_t i = 0; i < n; i++) {
        const unsigned char byte = (unsigned char)s[i];
        for (at = parent < 0 ? trie->first[byte] : trie->nodes[parent].child; at >= 0; at = trie->nodes[at].sibling)
            if (trie->nodes[at].byte == byte) break;
        if (at < 0) {
            if (!lf_grow(&trie->nodes, &trie->capacity, trie->n + 1)) return false;
            at = (int32_t)trie->n++;
            int32_t *head = parent < 0 ? &trie->first[byte] : &trie->nodes[parent].child;
            trie->nodes[at] = (lf_trie_node){.child = -1, .sibling = *head, .token = -1, .byte = byte};
            *head = at;
        }
        parent = at;
    }
    if (at >= 0 && trie->nodes[at].token < 0) trie->nodes[at].token = token;
    trie->some = trie->some || at >= 0;
    return true;
}

/* The longest token at s: its number, or -1; *size its bytes. */
static int32_t longest(const lf_trie *trie, const char *s, size_t n, size_t *size) {
    int32_t found = -1, at = trie->first[(unsigned char)s[0]];
    for (size_t i = 0; at >= 0;) {
        if (trie->nodes[at].token >= 0) {
            found = trie->nodes[at].token;
            *size = i + 1;
        }
        if (++i >= n) break;
        for (at = trie->nodes[at].child; at >= 0; at = trie->nodes[at].sibling)
            if (trie->nodes[at].byte == (unsigned char)s[i]) break;
    }
    return found;
}

/* Where the character begins that ends at `end` > 0. */
static size_t before(const char *s, size_t end) {
    do end--;
    while (end > 0 && ((unsigned char)s[end] & 0xc0) == 0x80);
    return end;
}

static bool word_at(const char *s, size_t n, size_t at) {
    uint32_t c;
    return at < n && lf_utf8_next(s + at, n - at, &c) > 0 && lf_char_is_word(c);
}

static bool put(lf_pieces *out, size_t base, size_t begin, size_t end, size_t head, int32_t id) {
    const size_t left = head > begin ? head - begin : 0, size = end - begin;
    const lf_piece piece = {.begin = base + begin, .size = size, .head = left < size ? left : size, .id = id};
    return lf_pieces_put(out, piece);
}

bool lf_added_tokens_find(const lf_added_tokens *a, const lf_trie *trie, const char *s, size_t n, size_t base,
                          size_t head, lf_pieces *out) {
    size_t done = 0; /* up to here the pieces are written */
    for (size_t i = 0; i < n && trie->some;) {
        size_t size;
        uint32_t c;
        if (trie->first[(unsigned char)s[i]] < 0) {
            i++;
            continue;
        }
        const int32_t number = longest(trie, s + i, n - i, &size);
        if (number < 0) {
            i++;
            continue;
        }
        const lf_added_token *t = &a->at[number];
        size_t begin = i, end = i + size;
        i = end; /* also where the token is refused: `tokenizers` does not look for another one inside of it */
        if (t->single_word && ((begin > 0 && word_at(s, n, before(s, begin))) || word_at(s, n, end))) continue;
        while (t->lstrip && begin > done) {
            const size_t at = before(s, begin);
            (void)lf_utf8_next(s + at, n - at, &c);
            if (!lf_char_is_space(c)) break;
            begin = at;
        }
        while (t->rstrip && end < n) {
            const size_t bytes = lf_utf8_next(s + end, n - end, &c);
            if (!lf_char_is_space(c)) break;
            end += bytes;
        }
        if (begin > done && !put(out, base, done, begin, head, -1)) return false;
        if (!put(out, base, begin, end, head, t->id)) return false;
        done = end;
    }
    return done >= n || put(out, base, done, n, head, -1);
}
