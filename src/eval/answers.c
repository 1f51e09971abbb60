#include "eval/answers.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

enum { UNKNOWN, WRONG, RIGHT, IN_A_BYTE = 4 };

void lf_answers_begin(lf_answers *a, lf_answers_how how) {
    a->how = how;
    a->changes = (lf_transitions){0};
    a->next = 0;
}

void lf_answers_free(lf_answers *a) {
    lf_free(a->marks);
    *a = (lf_answers){0};
}

/* ---- marks ---- */

lf_status lf_answers_mark(lf_answers *a, int64_t at, bool right, lf_err *err) {
    const int64_t byte = at / IN_A_BYTE, shift = 2 * (at % IN_A_BYTE), had = a->bytes;
    if (byte >= had) {
        if (!lf_grow(&a->marks, &a->bytes, byte + 1))
            return lf_no_memory(err, "the answers to %lld examples; try max_samples", (long long)at + 1);
        memset(a->marks + had, 0, (size_t)(a->bytes - had));
    }
    a->marks[byte] = (uint8_t)((a->marks[byte] & ~(3 << shift)) | ((right ? RIGHT : WRONG) << shift));
    return LF_OK;
}

static int mark_at(const lf_answers *a, int64_t at) {
    return at / IN_A_BYTE < a->bytes ? a->marks[at / IN_A_BYTE] >> 2 * (at % IN_A_BYTE) & 3 : UNKNOWN;
}

/* ---- what is taken ---- */

static void count(lf_answers *a, int was, bool right) {
    if (was == UNKNOWN) return;
    a->changes.n++;
    a->changes.lost += was == RIGHT && !right;
    a->changes.won += was == WRONG && right;
}

/* One label: kept, or compared. *was: UNKNOWN, WRONG or RIGHT. */
static lf_status take_label(lf_answers *a, int64_t at, const lf_label_score *s, int *was, lf_err *err) {
    *was = UNKNOWN;
    if (a->how == LF_ANSWERS_KEEP) return lf_answers_mark(a, at, s->correct, err);
    *was = a->how == LF_ANSWERS_AGAINST_BASE && s->compared ? s->base_correct ? RIGHT : WRONG : mark_at(a, at);
    count(a, *was, s->correct);
    return LF_OK;
}

static void add_label(lf_one_answer *one, const lf_label_score *s, int was) {
    one->targets++;
    one->right += s->correct;
    one->loss += s->nll;
    if (was == UNKNOWN)
        one->was_right = -1;
    else if (one->was_right >= 0)
        one->was_right += was == RIGHT;
}

/* An example without a label, or a text without a token to predict, is not answered. */
static lf_status take_row(lf_answers *a, const lf_answered *said, int64_t row, lf_err *err) {
    const bool tokens = !said->logits;
    const int64_t each = tokens ? said->batch->in.T : 1;
    lf_one_answer one = {.index = said->batch->indices[row], .said = said, .row = row};
    for (int64_t i = row * each; i < (row + 1) * each; i++) {
        const lf_label_score *s = &said->scores[i];
        int was = UNKNOWN;
        if (!s->target) continue;
        const lf_status rc =
            tokens || said->judged ? take_label(a, tokens ? a->next++ : one.index, s, &was, err) : LF_OK;
        if (rc) return rc;
        add_label(&one, s, was);
    }
    if (!one.targets || !a->visit || a->how == LF_ANSWERS_KEEP) return LF_OK;
    one.loss /= (double)one.targets;
    return a->visit(a->context, &one, err);
}

lf_status lf_answers_take(lf_answers *a, const lf_answered *said, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t row = 0; row < said->batch->in.B && !rc; row++) rc = take_row(a, said, row, err);
    return rc;
}

lf_status lf_answers_take_question(lf_answers *a, lf_one_answer *answer, lf_err *err) {
    int was;
    const lf_label_score s = {.target = true, .correct = answer->right > 0, .nll = answer->loss};
    const lf_status rc = take_label(a, answer->index, &s, &was, err);
    if (rc || !a->visit || a->how == LF_ANSWERS_KEEP) return rc;
    answer->targets = 1;
    answer->was_right = was == UNKNOWN ? -1 : was == RIGHT;
    return a->visit(a->context, answer, err);
}
