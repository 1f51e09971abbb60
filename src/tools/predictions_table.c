/* Predictions for people: a row each, whose columns are the members of the object that a line of JSON holds. */
#include <stdio.h>
#include <string.h>

#include "base/cells.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/string.h"
#include "base/terminal.h"
#include "tools/predictions.h"

enum { MOST_TEXT = 60 }; /* columns of a cell; half of the terminal where that is less */
enum { FIRST = 200 };    /* of what was predicted, which may have a line of its own */

/* "apple 0.98, bee 0.01" of a list or an object, whose parts stand so, too. */
static void add(lf_string *t, const cJSON *item) {
    const cJSON *part;
    if (cJSON_IsString(item)) lf_string_add(t, "%s", item->valuestring);
    if (cJSON_IsNumber(item)) lf_string_add(t, "%.4g", item->valuedouble);
    if (cJSON_IsBool(item)) lf_string_add(t, cJSON_IsTrue(item) ? "yes" : "no");
    if (cJSON_IsNull(item)) lf_string_add(t, "-");
    if (!cJSON_IsArray(item) && !cJSON_IsObject(item)) return;
    cJSON_ArrayForEach(part, item) {
        if (part != item->child) lf_string_add(t, cJSON_IsArray(item) ? ", " : " ");
        add(t, part);
    }
}

static void put(lf_cells *cells, const cJSON *item, int64_t columns) {
    lf_string t = {0};
    char cut[4 * FIRST + 4];
    add(&t, item);
    char *text = lf_string_take(&t);
    lf_cells_put(cells, "%s", text ? lf_text_cut(cut, sizeof cut, text, columns) : "(no memory)");
    lf_free(text);
}

static void put_heads(lf_cells *cells, const cJSON *one) {
    const cJSON *item;
    char words[64];
    cJSON_ArrayForEach(item, one) {
        snprintf(words, sizeof words, "%s", item->string);
        for (char *c = words; *c; c++)
            if (*c == '_') *c = ' ';
        lf_cells_put(cells, "%s", words);
    }
}

lf_status lf_predictions_table(const lf_predictions *p, FILE *out, lf_err *err) {
    const int terminal = lf_columns_of(out);
    const int64_t most = terminal && terminal / 2 - 2 < MOST_TEXT ? terminal / 2 - 2 : MOST_TEXT;
    lf_cells cells = {0};
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < p->count && !rc; i++) {
        cJSON *one = NULL, *item;
        if ((rc = lf_predictions_json(&one, p, i, err))) break;
        if (i == 0) {
            cells = lf_cells_new(cJSON_GetArraySize(one), LF_CELLS_HEAD);
            put_heads(&cells, one);
        }
        cJSON_ArrayForEach(item, one) put(&cells, item, item == one->child ? FIRST : most);
        cJSON_Delete(one);
    }
    if (!rc && cells.n) lf_cells_print(&cells, out);
    lf_cells_free(&cells);
    return rc;
}
