/* "{field}" in a text: the fields of a record put in. {{ and }} are braces. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/text/internal.h"

/* ---- parts --------------------------------------------------------------------------------------------------------
 */

typedef struct part {
    const char *s;
    size_t n;
    bool field; /* the name of one; else the text itself */
} part;

/* Takes the next part off *text; false if the brace at *text has no partner, or the name is empty. */
static bool next_part(const char **text, part *p) {
    const char *s = *text;
    *p = (part){s, strcspn(s, "{}"), false};
    if (p->n == 0 && s[0] == s[1]) { /* a doubled brace is one */
        p->n = 1;
        *text = s + 2;
        return true;
    }
    if (p->n == 0 && *s == '{') {
        *p = (part){s + 1, strcspn(s + 1, "{}"), true};
        if (p->n == 0 || s[1 + p->n] != '}') return false;
        *text = s + p->n + 2;
        return true;
    }
    *text = s + p->n;
    return p->n > 0;
}

lf_status lf_text_template_check(const char *text, lf_err *err) {
    part p;
    const char *at = text;
    while (*at)
        if (!next_part(&at, &p))
            return lf_fail(err, LF_EUSAGE,
                           "prompt_template: character %zu: expected {FIELD}; write {{ or }} for a brace",
                           (size_t)(at - text) + 1);
    return LF_OK;
}

bool lf_text_template_has(const char *text, const char *field) {
    part p;
    while (*text && next_part(&text, &p))
        if (p.field && p.n == strlen(field) && !memcmp(p.s, field, p.n)) return true;
    return false;
}

/* Letters go to Z, then on with numbers. */
static void put_choices(lf_string *out, const lf_text_filling *f) {
    for (int64_t i = 0; i < f->n_choices; i++) {
        const char *end = i + 1 < f->n_choices ? "\n" : "";
        if (i < 26)
            lf_string_add(out, "%c. %s%s", (char)('A' + i), f->choices[i], end);
        else
            lf_string_add(out, "%lld. %s%s", (long long)i + 1, f->choices[i], end);
    }
}

lf_status lf_text_template_render(lf_string *out, const char *text, const lf_text_filling *f, const char *name,
                                  lf_err *err) {
    part p;
    while (*text && next_part(&text, &p)) {
        char field[256];
        if (!p.field) {
            lf_string_put(out, p.s, p.n);
            continue;
        }
        if (p.n >= sizeof field)
            return lf_fail(err, LF_EUSAGE, "prompt_template: a field name of %zu bytes; at most 255", p.n);
        memcpy(field, p.s, p.n);
        field[p.n] = 0;
        if (f->n_choices && !strcmp(field, "choices")) {
            put_choices(out, f);
            continue;
        }
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(f->record, field);
        if ((!value || cJSON_IsNull(value)) && lf_has_item(f->optional, field)) continue;
        if (!value || !lf_json_put_value(out, value))
            return lf_fail(err, LF_EDATA, "%s: expected a text '%s' for the prompt template, found %s", name, field,
                           !value                 ? "no such field"
                           : cJSON_IsArray(value) ? "a list (of messages? they are both 'prompt' and 'completion', or "
                                                    "'messages')"
                                                  : "another value");
    }
    return LF_OK;
}
