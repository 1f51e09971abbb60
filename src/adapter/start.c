/* What a run's files say of where its adapter started. */
#include <stdio.h>

#include "adapter/adapter_internal.h"
#include "base/obj.h"

static cJSON *member_of(const char *name, double value) {
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, name, value);
    return lf_obj_take(&o);
}

/* An index and an energy are other fractions in each weight, and stay what they are. */
static cJSON *given_position(lf_position p) {
    switch (p.kind) {
    case LF_POSITION_FRACTION: return cJSON_CreateNumber(p.value);
    case LF_POSITION_INDEX: return member_of("index", p.value);
    case LF_POSITION_ENERGY: return member_of("energy", p.value);
    }
    return NULL;
}

static cJSON *position_of(const lf_init *init, lf_position given) {
    switch (init->block) {
    case LF_BLOCK_NONE: return cJSON_CreateNull();
    case LF_BLOCK_FIRST: return cJSON_CreateNumber(0);
    case LF_BLOCK_LAST: return cJSON_CreateNumber(1);
    case LF_BLOCK_KEY:
    case LF_BLOCK_KEY_OR_LAST: return given_position(given);
    }
    return NULL;
}

/* "PiSSA", "position 0.5", "position component 12". */
static void say_title(char *text, size_t size, const lf_init *init, lf_position p) {
    static const char *const kinds[] = {
        [LF_POSITION_FRACTION] = "", [LF_POSITION_INDEX] = "component ", [LF_POSITION_ENERGY] = "energy "};
    if (lf_init_is_positioned(init))
        snprintf(text, size, "%s %s%.6g", init->title, kinds[p.kind], p.value);
    else
        snprintf(text, size, "%s", init->title);
}

static void say_start(char *text, size_t size, const lf_init *init, const lf_adapter_opts *o,
                      const lf_init_report *reports, int64_t n) {
    int used = snprintf(text, size, "%s: %s", o->init, init->help);
    int64_t least = n ? reports[0].start : -1, greatest = least;
    for (int64_t i = 1; i < n; i++) {
        if (reports[i].start < least) least = reports[i].start;
        if (reports[i].start > greatest) greatest = reports[i].start;
    }
    if (init->block == LF_BLOCK_NONE || least < 0 || used < 0 || (size_t)used >= size) return;
    text += used;
    size -= (size_t)used;
    if (least == greatest)
        snprintf(text, size, "; they begin with component %lld of each weight, counted from 0", (long long)least);
    else
        snprintf(text, size, "; they begin with component %lld to %lld, by weight, counted from 0", (long long)least,
                 (long long)greatest);
}

static const char *const reads[] = {
    [LF_READS_NOTHING] = "nothing",  [LF_READS_WEIGHT] = "weight", [LF_READS_COMPONENTS] = "components",
    [LF_READS_TARGET] = "target",    [LF_READS_KEPT] = "kept",     [LF_READS_BOTH] = "both",
    [LF_READS_GRADIENT] = "gradient"};

cJSON *lf_start_to_json(const lf_adapter_opts *o, const lf_init *init, const lf_init_report *reports, int64_t n) {
    char line[400], title[80];
    say_title(title, sizeof title, init, o->position);
    say_start(line, sizeof line, init, o, reports, n);
    lf_obj start = lf_obj_new();
    lf_obj_string(&start, "name", o->init);
    lf_obj_bool(&start, "plain", init->plain);
    lf_obj_put(&start, "position", position_of(init, o->position));
    lf_obj_string(&start, "line", line);
    if (init != &lf_init_continued) { /* that is its own start's */
        lf_obj_bool(&start, "subtracted", init->form == LF_FORM_SUBTRACTED);
        lf_obj_string(&start, "reads", reads[init->reads]);
    }
    lf_obj_string(&start, "title", title);
    return lf_obj_take(&start);
}
