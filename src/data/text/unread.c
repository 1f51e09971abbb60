#include "data/text/unread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/left_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"

enum {
    TELLING_FIELD = LF_TEXT_UNREAD_KINDS, /* counted apart */
    N_COUNTS,
    MOST_NAMES = 64 /* of a kind: records may have names of their own each */
};

struct lf_text_unread {
    pthread_mutex_t lock;
    lf_left_out counts[N_COUNTS];
    atomic_bool said; /* set under the lock, so that nothing is counted afterwards */
};

lf_status lf_text_unread_new(lf_text_unread **out, lf_err *err) {
    *out = lf_calloc(1, sizeof **out);
    if (!*out) return lf_no_memory(err, "a data set");
    pthread_mutex_init(&(*out)->lock, NULL);
    return LF_OK;
}

void lf_text_unread_free(lf_text_unread *u) {
    if (!u) return;
    for (int i = 0; i < N_COUNTS; i++) lf_left_out_free(&u->counts[i]);
    pthread_mutex_destroy(&u->lock);
    lf_free(u);
}

static bool is_telling(const char *field) {
#define LF_TEXT_TELLING(names)                                                                                         \
    if (lf_has_item(names, field)) return true;
#include "data/text/unread.def"
#undef LF_TEXT_TELLING
    return false;
}

static bool is_counted(const lf_left_out *l, const char *name) {
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->kinds[i].name, name)) return true;
    return false;
}

bool lf_text_unread_add(lf_text_unread *u, lf_text_unread_kind kind, const char *name) {
    char quoted[96];
    bool good = true;
    if (!u || u->said) return true; /* all epochs but the first */
    const bool field = kind == LF_TEXT_UNREAD_FIELD, quotes = field || kind == LF_TEXT_UNKNOWN_ROLE;
    snprintf(quoted, sizeof quoted, quotes ? "\"%.80s\"" : "%.90s", name);
    pthread_mutex_lock(&u->lock);
    lf_left_out *l = &u->counts[field && is_telling(name) ? TELLING_FIELD : (int)kind];
    if (!u->said) good = lf_left_out_add(l, l->n < MOST_NAMES || is_counted(l, quoted) ? quoted : "of other names");
    pthread_mutex_unlock(&u->lock);
    return good;
}

void lf_text_unread_say(lf_text_unread *u, const char *path) {
    char text[600];
    pthread_mutex_lock(&u->lock);
    const bool said = u->said;
    u->said = true;
    pthread_mutex_unlock(&u->lock);
    if (said) return; /* from here on nothing changes the counts */
    const lf_left_out *fields = &u->counts[LF_TEXT_UNREAD_FIELD], *telling = &u->counts[TELLING_FIELD],
                      *keys = &u->counts[LF_TEXT_UNREAD_KEY], *roles = &u->counts[LF_TEXT_UNKNOWN_ROLE],
                      *empty = &u->counts[LF_TEXT_EMPTY_ANSWER];
    if (roles->total)
        lf_warn(
            "%s: roles of messages that nobody knows, the chat template neither: %s; what they say is shown and not "
            "learned, for answers are those of 'assistant'",
            path, lf_left_out_text(roles, text, sizeof text));
    if (empty->total)
        lf_warn("%s: %lld answers are empty or blank, and all that is learned of them is to end at once (the first: "
                "%s); leave such records out, or mark the message \"train\": false",
                path, (long long)empty->total, empty->kinds[0].name);
    if (keys->total)
        lf_warn("%s: keys of messages that nothing reads, the chat template neither, so they change nothing: %s", path,
                lf_left_out_text(keys, text, sizeof text));
    if (telling->total)
        lf_warn("%s: fields that are not read, though their names say that they may matter: %s", path,
                lf_left_out_text(telling, text, sizeof text));
    if (fields->total) lf_info("%s: fields that are not read: %s", path, lf_left_out_text(fields, text, sizeof text));
}
