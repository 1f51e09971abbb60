/* Renders templates for scripts that compare them with transformers: a line of JSON in, a line out.
 *
 * In: {"template", "variables": {...}, "now": [year, month, day, hour, minute, second]}.
 * Out: {"text"} or {"status": "unsupported" | "refused", "message"}. */
#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "jinja/jinja.h"

static void set_now(lf_jinja_run *r, const cJSON *list) {
    int x[6] = {0};
    for (int i = 0; i < 6; i++) x[i] = (int)cJSON_GetNumberValue(cJSON_GetArrayItem(list, i));
    struct tm now = {.tm_year = x[0] - 1900,
                     .tm_mon = x[1] - 1,
                     .tm_mday = x[2],
                     .tm_hour = x[3],
                     .tm_min = x[4],
                     .tm_sec = x[5],
                     .tm_isdst = -1};
    if (cJSON_GetArraySize(list) != 6) return;
    (void)mktime(&now); /* the day of the week */
    lf_jinja_set_now(r, &now);
}

static lf_status render(const cJSON *job, cJSON *answer, lf_err *err) {
    const char *source = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(job, "template"));
    lf_jinja *t = NULL;
    lf_jinja_run *r = NULL;
    lf_jinja_result result;
    const cJSON *v;
    lf_status rc = source ? lf_jinja_parse(&t, source, strlen(source), "template", err)
                          : lf_fail(err, LF_EDATA, "expected a template");
    if (!rc) rc = lf_jinja_run_new(&r, NULL, err);
    if (!rc) {
        cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(job, "variables"))
            lf_jinja_set(r, v->string, lf_jinja_json(r, v, 1));
        set_now(r, cJSON_GetObjectItemCaseSensitive(job, "now"));
        rc = lf_jinja_render(t, r, &result, err);
    }
    if (!rc) cJSON_AddItemToObject(answer, "text", lf_json_create_text(result.text, result.n));
    lf_jinja_run_free(r);
    lf_jinja_free(t);
    return rc;
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    for (ssize_t n; (n = getline(&line, &size, stdin)) > 0;) {
        cJSON *job = NULL, *answer = cJSON_CreateObject();
        lf_err err = {0};
        lf_status rc = lf_json_parse(&job, line, (size_t)n, "job", &err);
        if (!rc) rc = render(job, answer, &err);
        if (rc) {
            cJSON_AddStringToObject(answer, "status", rc == LF_EUNSUPPORTED ? "unsupported" : "refused");
            cJSON_AddStringToObject(answer, "message", err.message);
        }
        char *text = lf_json_print_line(answer);
        puts(text ? text : "{}");
        fflush(stdout);
        lf_free(text);
        cJSON_Delete(job);
        cJSON_Delete(answer);
    }
    free(line);
    return 0;
}
