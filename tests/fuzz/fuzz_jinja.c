/* Any bytes as a template, rendered for one conversation: an error, or a text whose spans lie in it in order. */
#include "fuzz.h"
#include "jinja/jinja.h"

static void add_message(lf_jinja_run *r, lf_jinja_value *list, const char *role, const char *content, int32_t origin) {
    lf_jinja_value *m = lf_jinja_dict(r);
    lf_jinja_put(r, m, "role", lf_jinja_text(r, role, strlen(role), origin));
    lf_jinja_put(r, m, "content", lf_jinja_text(r, content, strlen(content), origin + 1));
    lf_jinja_add(r, list, m);
}

static void set_variables(lf_jinja_run *r) {
    lf_jinja_value *messages = lf_jinja_list(r), *tools = lf_jinja_list(r), *tool = lf_jinja_dict(r);
    const struct tm now = {.tm_year = 124, .tm_mon = 6, .tm_mday = 4};
    add_message(r, messages, "system", "Be \xc3\xa4 poet. ", 1);
    add_message(r, messages, "user", " 1 + 1?\n", 3);
    add_message(r, messages, "assistant", "<think>x</think> 2\xff", 5);
    lf_jinja_put(r, tool, "name", lf_jinja_text(r, "add", 3, 7));
    lf_jinja_put(r, tool, "function", tool);
    lf_jinja_add(r, tools, tool);
    lf_jinja_set(r, "messages", messages);
    lf_jinja_set(r, "tools", tools);
    lf_jinja_set(r, "add_generation_prompt", lf_jinja_bool(r, true));
    lf_jinja_set(r, "bos_token", lf_jinja_text(r, "<s>", 3, 0));
    lf_jinja_set(r, "eos_token", lf_jinja_text(r, "</s>", 4, 0));
    lf_jinja_set_now(r, &now);
}

static void check(const lf_jinja_result *out) {
    size_t at = 0;
    require(out->text[out->n] == 0);
    for (size_t i = 0; i < out->n_spans; i++) {
        const lf_jinja_span *s = &out->spans[i];
        require(s->begin >= at && s->begin < s->end && s->end <= out->n && s->origin >= 0 && s->origin <= 7);
        require(s->origin > 0 || s->generated);
        at = s->end;
    }
    for (size_t i = 0; i < out->n_lost; i++) require(out->lost[i] > 0 && out->lost[i] <= 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lf_jinja *t = NULL;
    lf_jinja_run *r = NULL;
    lf_jinja_result out;
    lf_err err = {0};
    const lf_jinja_limits limits = {.steps = 200000, .memory = 16 << 20, .depth = 200};
    lf_status rc = lf_jinja_parse(&t, (const char *)data, size, "fuzz", &err);
    require((rc == LF_OK) == (t != NULL));
    if (!rc) {
        require(lf_jinja_run_new(&r, &limits, &err) == LF_OK);
        set_variables(r);
        rc = lf_jinja_render(t, r, &out, &err);
        if (!rc) check(&out);
    }
    require((rc == LF_OK) == (err.message[0] == 0) && (rc == LF_OK || rc == LF_EDATA || rc == LF_EUNSUPPORTED));
    lf_jinja_run_free(r);
    lf_jinja_free(t);
    require(lf_alloc_live() == 0);
    return 0;
}
