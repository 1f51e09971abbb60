/* adapter_config.json: what an adapter is, in PEFT's words and by names that select the same modules there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/peft_writing.h"
#include "adapter/saved.h"
#include "adapter/targets.h"
#include "base/mem.h"
#include "base/obj.h"

const char *lf_peft_written_name(const lf_peft_writing *w, const lf_module *m) {
    return w->facts->old_names ? m->alias : m->name;
}
int64_t lf_peft_written_rank(const lf_peft_writing *w, int64_t r) { return w->a->residual ? 2 * r : r; }
static double alpha_factor(const lf_peft_writing *w) { return !w->a->residual ? 1 : w->a->use_rslora ? sqrt(2) : 2; }

const char *lf_peft_leaf(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Do these suffixes select the adapter's modules and no other? */
static bool selects_the_same(const lf_peft_writing *w, const char *const *suffixes, int64_t n) {
    for (int64_t i = 0; i < w->nn->n_modules; i++) {
        bool hit = false;
        for (int64_t k = 0; k < n && !hit; k++)
            hit = lf_name_ends(lf_peft_written_name(w, w->nn->modules[i]), suffixes[k]);
        if (hit != (w->nn->modules[i]->lora != NULL)) return false;
    }
    return true;
}

static int64_t sort_unique(const char **names, int64_t n) {
    int64_t kept = 0;
    qsort(names, (size_t)n, sizeof *names, by_bytes);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[kept - 1])) names[kept++] = names[i];
    return kept;
}

/* Last segments of the modules' names where these say it all, else whole names. NULL when out of memory. */
static cJSON *target_list(const lf_peft_writing *w) {
    int64_t n = w->a->match.count;
    const char **names = lf_calloc((size_t)n, sizeof *names);
    if (!names) return NULL;
    for (int64_t i = 0; i < n; i++) names[i] = lf_peft_leaf(lf_peft_written_name(w, w->a->match.modules[i]));
    n = sort_unique(names, n);
    if (!selects_the_same(w, names, n)) {
        n = w->a->match.count;
        for (int64_t i = 0; i < n; i++) names[i] = lf_peft_written_name(w, w->a->match.modules[i]);
        n = sort_unique(names, n);
    }
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < n; i++) lf_list_string(&list, names[i]);
    lf_free(names);
    return lf_obj_take(&list);
}

static double value_of(const lf_match *m, int64_t i, bool ranks) { return ranks ? (double)m->r[i] : m->alpha[i]; }

/* Do the user's own patterns still decide the same over the names that are written? */
static lf_status patterns_hold(const lf_peft_writing *w, const cJSON *given, const char *key, bool ranks, bool *hold,
                               lf_err *err) {
    lf_patterns *p;
    lf_status rc = lf_patterns_new(&p, given, "", key, err);
    *hold = !rc;
    for (int64_t i = 0; !rc && *hold && i < w->a->match.count; i++) {
        double value = ranks ? (double)w->a->r : w->a->lora_alpha;
        int64_t index;
        rc = lf_patterns_find(p, lf_peft_written_name(w, w->a->match.modules[i]), NULL, &value, &index, err);
        *hold = value == value_of(&w->a->match, i, ranks);
    }
    lf_patterns_free(p);
    return rc;
}

/* rank_pattern or alpha_pattern, times `factor`: as given, or by the modules' whole names. */
static lf_status put_pattern(const lf_peft_writing *w, lf_obj *config, const char *key, double factor, lf_err *err) {
    const bool ranks = strcmp(key, "rank_pattern") == 0;
    const cJSON *given = ranks ? w->a->rank_pattern : w->a->alpha_pattern, *item;
    bool hold;
    const lf_status rc = patterns_hold(w, given, key, ranks, &hold, err);
    if (rc) return rc;
    const double usual = ranks ? (double)w->a->r : w->a->lora_alpha;
    lf_obj o = lf_obj_new();
    const cJSON *kept = hold ? given : NULL;
    cJSON_ArrayForEach(item, kept) lf_obj_number(&o, item->string, factor * item->valuedouble);
    for (int64_t i = 0; !hold && i < w->a->match.count; i++) {
        const double value = value_of(&w->a->match, i, ranks);
        if (value != usual) lf_obj_number(&o, lf_peft_written_name(w, w->a->match.modules[i]), factor * value);
    }
    lf_obj_put(config, key, lf_obj_take(&o));
    return LF_OK;
}

bool lf_peft_is_saved_inner(const lf_peft_writing *w, const lf_module *m) {
    return w->facts->head && m->feeds_head && m->head == LF_CLASS_HEAD && m->weight->tensor.requires_grad;
}

/* "classifier.dense" is below "classifier": PEFT saves both by the name of the latter. */
static bool is_below(const char *name, const char *above) {
    const size_t n = strlen(above);
    return strncmp(name, above, n) == 0 && name[n] == '.';
}

static void list_once(lf_obj *list, const char *name, int length) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list->json) if ((int)strlen(item->valuestring) == length &&
                                             strncmp(item->valuestring, name, (size_t)length) == 0) return;
    char *copy = lf_format("%.*s", length, name);
    list->failed |= !copy;
    if (copy) lf_list_string(list, copy);
    lf_free(copy);
}

/* "classifier" of "classifier.out_proj"; of a model that classifies texts both names that PEFT saves there. */
static void list_head(const lf_peft_writing *w, lf_obj *list, const char *part) {
    static const char *const of_peft[] = {"classifier", "score"};
    enum { N = sizeof of_peft / sizeof *of_peft };
    bool known = false;
    for (size_t i = 0; i < N; i++) known = known || !strcmp(part, of_peft[i]);
    if (!known || !w->facts->task_type)
        lf_list_string(list, part);
    else
        for (size_t i = 0; i < N; i++) lf_list_string(list, of_peft[i]);
}

const char *lf_peft_written_param(const lf_peft_writing *w, const lf_param *p) {
    return w->facts->old_names ? p->file_name : p->name;
}

/* Is it there because of modules_to_save? The biases of the key `bias` are beside the adapter, too. */
static bool is_saved(const lf_peft_writing *w, const lf_param *p) {
    return lf_nn_is_beside(w->nn, p) &&
           (lf_saves_param(w->a->saves, p->name) || lf_saves_param(w->a->saves, p->file_name));
}

/* Do the user's names mean the same modules as they are written, and none that is part of another? */
static bool names_hold(const lf_peft_writing *w) {
    for (int64_t i = 0; w->a && i < w->nn->n_params; i++) {
        const lf_param *p = w->nn->params[i];
        const char *name = lf_peft_written_param(w, p);
        if (is_saved(w, p) && (!lf_saves_param(w->a->saves, name) || lf_saves_twice(w->a->saves, name))) return false;
    }
    return true;
}

static int module_length(const char *param) { return (int)(lf_peft_leaf(param) - param - 1); }

/* Is the parameter's module part of another that has saved parameters of its own (a class token)? */
static bool is_in_saved(const lf_peft_writing *w, const char *param) {
    for (int64_t i = 0; i < w->nn->n_params; i++) {
        const char *other = lf_peft_written_param(w, w->nn->params[i]);
        const int n = module_length(other);
        if (is_saved(w, w->nn->params[i]) && n < module_length(param) && strncmp(param, other, (size_t)n) == 0 &&
            param[n] == '.')
            return true;
    }
    return false;
}

/* The names as they were given, or the modules by their own. What the head is listed by, with all that is in it, is
 * there already. */
static void list_saved(const lf_peft_writing *w, lf_obj *list, const char *head_part) {
    const cJSON *item, *names = w->a ? w->a->saves : NULL;
    const bool hold = names_hold(w);
    cJSON_ArrayForEach(item, names) if (hold && !(head_part && is_below(item->valuestring, head_part)))
        list_once(list, item->valuestring, (int)strlen(item->valuestring));
    for (int64_t i = 0; w->a && !hold && i < w->nn->n_params; i++) {
        const char *name = lf_peft_written_param(w, w->nn->params[i]);
        if (is_saved(w, w->nn->params[i]) && !is_in_saved(w, name)) list_once(list, name, module_length(name));
    }
}

/* The layers before the head that the names do not mean. */
static void list_inner(const lf_peft_writing *w, lf_obj *list, const char *head_part) {
    const bool hold = names_hold(w);
    for (int64_t i = 0; i < w->nn->n_modules; i++) {
        const char *name = lf_peft_written_name(w, w->nn->modules[i]);
        const bool named = w->a && hold && lf_saves_module(w->a->saves, name);
        if (lf_peft_is_saved_inner(w, w->nn->modules[i]) && !is_below(name, head_part) && !named)
            lf_list_string(list, name);
    }
}

/* The head by the module that it is part of: "classifier" of "classifier.out_proj". */
static cJSON *saved_modules(const lf_peft_writing *w) {
    lf_obj list = lf_list_new();
    const char *head = w->facts->head ? lf_peft_written_name(w, w->facts->head) : NULL;
    char *part = head ? lf_format("%.*s", (int)strcspn(head, "."), head) : NULL;
    list.failed |= head && !part;
    if (part) list_head(w, &list, part);
    if (part) list_inner(w, &list, part);
    list_saved(w, &list, part);
    lf_free(part);
    cJSON *made = lf_obj_take(&list);
    if (!made || made->child) return made;
    cJSON_Delete(made);
    return cJSON_CreateNull();
}

/* Do the base's files hold these weights as [in, out]? A and B are the same either way; PEFT wants to know. */
static bool is_turned(const lf_adapter *a) {
    bool turned = false;
    for (int64_t i = 0; i < a->match.count; i++) turned |= a->match.modules[i]->weight->transposed;
    return turned;
}

lf_status lf_peft_write_config(const lf_peft_writing *w, lf_err *err) {
    const lf_adapter *a = w->a;
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "peft_type", "LORA");
    lf_obj_string(&o, "task_type", w->facts->task_type);
    lf_obj_string(&o, "base_model_name_or_path", w->facts->hub_id ? w->facts->hub_id : w->facts->base_path);
    lf_obj_string(&o, "revision", NULL);
    lf_obj_bool(&o, "inference_mode", true);
    lf_obj_number(&o, "r", (double)lf_peft_written_rank(w, a->r));
    lf_obj_number(&o, "lora_alpha", alpha_factor(w) * a->lora_alpha);
    lf_obj_number(&o, "lora_dropout", a->lora_dropout);
    lf_obj_put(&o, "target_modules", target_list(w));
    lf_obj_string(&o, "bias", a->bias);
    lf_obj_bool(&o, "fan_in_fan_out", is_turned(a));
    lf_obj_bool(&o, "init_lora_weights", true);
    lf_obj_put(&o, "modules_to_save", saved_modules(w));
    lf_obj_string(&o, "layers_to_transform", NULL);
    lf_obj_string(&o, "layers_pattern", NULL);
    lf_obj_bool(&o, "use_rslora", a->use_rslora);
    lf_obj_bool(&o, "use_dora", a->use_dora);
    lf_status rc = put_pattern(w, &o, "rank_pattern", a->residual ? 2 : 1, err);
    if (!rc) rc = put_pattern(w, &o, "alpha_pattern", alpha_factor(w), err);
    if (!rc) return lf_obj_write_in(&o, w->dir, LF_PEFT_CONFIG, true, err);
    cJSON_Delete(lf_obj_take(&o));
    return rc;
}
