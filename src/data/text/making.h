/* What turns a record into a document: a line of layouts.def says how, and one of the functions here does it. */
#ifndef LF_DATA_TEXT_MAKING_H
#define LF_DATA_TEXT_MAKING_H

#include "data/text/internal.h"

typedef struct lf_text_making {
    const lf_text_store *store;
    const lf_text_layout *layout;
    const cJSON *record;
    int64_t index;
    lf_text_unread *unread; /* NULL: not counted */
    lf_string text;         /* what is put so far, which becomes that of `out` if it gets no other */
    lf_text_example *out;
    lf_err *err;
} lf_text_making;

struct lf_text_layout {
    const char *name;
    lf_status (*make)(lf_text_making *m);
    const char *required, *optional, *prompt, *choices, *answer; /* see layouts.def; the last two of choices */
    unsigned traits;
};

/* Everything put from `prompt` on is the answer, the last of the fields that must be there. */
lf_status lf_text_make_pair(lf_text_making *m);
lf_status lf_text_make_whole(lf_text_making *m); /* one field */
lf_status lf_text_make_choices(lf_text_making *m);
lf_status lf_text_make_blank(lf_text_making *m); /* choices that fill the "_" of the prompt's only field */
lf_status lf_text_make_messages(lf_text_making *m);

/* ---- what they share ---- */

enum { LF_TEXT_FIELD = 64 }; /* bytes of a field's name in layouts.def */

/* Takes the first of "a|b:list|c" into name, without its kind; *kind may be NULL, and is "" where there is none. False
 * when nothing is left. */
bool lf_text_next_field(const char **list, char name[LF_TEXT_FIELD], const char **kind);
bool lf_text_has_fields(const cJSON *record, const char *required);
/* Has it all that the layout asks for but the answer, which is this field? */
bool lf_text_has_question(const cJSON *record, const lf_text_layout *l);
bool lf_text_is_answer(const lf_text_layout *l, const char *field);
const cJSON *lf_text_field(const cJSON *record, const char *name); /* NULL for null too */
int lf_text_yes_or_no(const char *s);                              /* "no", "False", "0": 0; -1: neither */
bool lf_text_is_empty(const cJSON *value);                         /* absent, null, "", [] or {} */
const char *lf_text_one_field(const lf_text_making *m); /* of a layout that has one; text_field may name another */

/* "RECORD: expected EXPECTED, found FOUND". */
lf_status lf_text_bad(const lf_text_making *m, const char *expected, const char *found);
lf_status lf_text_missing(const lf_text_making *m); /* fields that must be there */
const char *lf_text_record(const lf_text_making *m, char *buf, size_t size);
lf_status lf_text_out_of_memory(const lf_text_making *m);

lf_status lf_text_put_prompt(lf_text_making *m);
lf_status lf_text_put_field(lf_text_making *m, const char *name);
lf_status lf_text_add_answer(lf_text_making *m, size_t begin); /* all that is put from there on */
bool lf_text_is_blank(const char *text, size_t n);
lf_status lf_text_count_empty_answer(const lf_text_making *m);
lf_status lf_text_set_wanted(lf_text_making *m, const char *text); /* of a prompt */

#endif
