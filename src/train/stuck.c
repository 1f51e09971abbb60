#include "train/stuck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { MANY = 20 };                                                  /* steps */
static const double near = 0.02, well_below = 0.9, well_above = 1.5; /* shares of the loss of a guess */

lf_stuck lf_stuck_begin(double chance) {
    const double guess = chance > 0 && chance < 1 ? -log(chance) : chance > 1 ? log(chance) : NAN;
    return (lf_stuck){.guess = guess, .least = INFINITY, .zero_from = -1, .at_guess_from = -1, .above_from = -1};
}

static void note(int64_t *from, bool is_so, int64_t step) {
    if (!is_so)
        *from = -1;
    else if (*from < 0)
        *from = step;
}

double lf_stuck_bar(const lf_stuck *s) { return well_above * fmax(s->guess, s->start); }

void lf_stuck_row(lf_stuck *s, const cJSON *row) {
    const cJSON *step = cJSON_GetObjectItemCaseSensitive(row, "step"),
                *loss = cJSON_GetObjectItemCaseSensitive(row, "loss"),
                *norm = cJSON_GetObjectItemCaseSensitive(row, "grad_norm"),
                *eval = cJSON_GetObjectItemCaseSensitive(row, "eval_loss");
    if (cJSON_IsNumber(step) && step->valuedouble == 0 && cJSON_IsNumber(eval)) s->start = eval->valuedouble;
    if (!cJSON_IsNumber(step) || !cJSON_IsNumber(loss)) return;
    s->step = (int64_t)step->valuedouble;
    note(&s->zero_from, cJSON_IsNumber(norm) && norm->valuedouble == 0, s->step);
    note(&s->at_guess_from, s->least < well_below * s->guess && fabs(loss->valuedouble - s->guess) <= near * s->guess,
         s->step);
    note(&s->above_from, isfinite(s->guess) && loss->valuedouble > lf_stuck_bar(s), s->step);
    s->least = fmin(s->least, loss->valuedouble);
}

bool lf_stuck_how(const lf_stuck *s, char *text, size_t size) {
    if (s->zero_from >= 0 && s->step - s->zero_from >= MANY)
        snprintf(text, size, "all gradients are exactly 0 from step %lld on", (long long)s->zero_from);
    else if (s->at_guess_from >= 0 && s->step - s->at_guess_from >= MANY)
        snprintf(text, size, "the loss is that of a guess (%.3g) from step %lld on, after it was %.3g", s->guess,
                 (long long)s->at_guess_from, s->least);
    else
        return false;
    return true;
}

bool lf_stuck_is_above(const lf_stuck *s) { return s->above_from >= 0 && s->step - s->above_from >= MANY; }

lf_status lf_stuck_read(lf_stuck *s, const char *dir, lf_err *err) {
    char *path = lf_path_join(dir, "metrics.jsonl"), *text = NULL;
    size_t size = 0;
    lf_status rc = path ? lf_file_read(&text, &size, path, err) : lf_no_memory(err, "%s", dir);
    for (const char *at = text, *end; !rc && (end = memchr(at, '\n', size - (size_t)(at - text))); at = end + 1) {
        cJSON *row = NULL;
        if (end > at && !(rc = lf_json_parse(&row, at, (size_t)(end - at), path, err))) lf_stuck_row(s, row);
        cJSON_Delete(row);
    }
    lf_free(text);
    lf_free(path);
    return rc;
}
