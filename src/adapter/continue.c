/* Going on with an adapter that is there (continue_from): its settings, and its A and B as the start. */
#include <string.h>

#include "adapter/peft_file.h"
#include "adapter/saved.h"
#include "adapter/targets.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"

/* ---- the start ---- */

static lf_status copy_factors(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    const lf_st_tensor *const from[] = {in->from->A, in->from->B};
    float *const to[] = {A, B};
    (void)err;
    for (int i = 0; i < 2; i++) lf_to_f32(to[i], from[i]->data, from[i]->dtype, from[i]->numel);
    *report = (lf_init_report){.start = -1};
    return LF_OK;
}

const lf_init lf_init_continued = {.name = "continued",
                                   .title = "the adapter that it goes on with",
                                   .help = "the factors of the adapter that continue_from names",
                                   .block = LF_BLOCK_NONE,
                                   .fill = copy_factors};

/* ---- do the settings and the tensors say the same? ---- */

static lf_status not_there(const lf_adapter_file *f, const lf_module *m, lf_err *err) {
    return lf_fail(err, LF_EUSAGE,
                   "target_modules selects '%s', for which the adapter in %s, which training is to go on with, has no "
                   "tensors; leave target_modules, exclude_modules, layers_to_transform and layers_pattern out",
                   m->name, f->dir);
}

static lf_status check_module(const lf_adapter_file *f, const lf_match *match, int64_t i, lf_err *err) {
    const lf_module *m = match->modules[i];
    const lf_peft_entry *e;
    lf_status rc = lf_peft_find(&e, f, m, err);
    if (rc) return rc;
    if (!e) return not_there(f, m, err);
    if ((rc = lf_peft_check_fit(f, e, m, err))) return rc;
    if (e->r != match->r[i])
        return lf_fail(
            err, LF_EUSAGE,
            "r, rank_pattern: '%s' would have rank %lld, and has %lld in the adapter in %s, which training is "
            "to go on with; leave them out",
            m->name, (long long)match->r[i], (long long)e->r, f->dir);
    if (e->alpha == match->alpha[i]) return LF_OK;
    return lf_fail(err, LF_EUSAGE,
                   "lora_alpha, alpha_pattern: '%s' would have lora_alpha %g, and has %g in the adapter in %s, which "
                   "training is to go on with; leave them out",
                   m->name, match->alpha[i], e->alpha, f->dir);
}

/* A module's tensors that nothing selects would be lost. */
static lf_status check_entry(const lf_adapter_file *f, const lf_peft_entry *e, const lf_match *match, lf_err *err) {
    for (int64_t i = 0; i < match->count; i++)
        if (!strcmp(e->module, match->modules[i]->name) || !strcmp(e->module, match->modules[i]->alias)) return LF_OK;
    return lf_fail(err, LF_EUSAGE,
                   "%s: target_modules does not select '%s', which the adapter has tensors for; leave target_modules, "
                   "exclude_modules, layers_to_transform and layers_pattern out, or take the base model that the "
                   "adapter was made for",
                   f->weights_path, e->module);
}

lf_status lf_continue_check(const lf_adapter_file *from, const lf_match *match, bool use_rslora, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < from->n_entries && !rc; i++) rc = check_entry(from, &from->entries[i], match, err);
    for (int64_t i = 0; i < match->count && !rc; i++) rc = check_module(from, match, i, err);
    if (!rc && use_rslora != from->config.use_rslora)
        rc = lf_fail(err, LF_EUSAGE, "use_rslora: is %s in the adapter in %s, which training is to go on with",
                     from->config.use_rslora ? "true" : "false", from->dir);
    if (!rc && lf_peft_holds_B(from))
        lf_info("%s: its lora_B stayed as it began (init_lora_weights mica); from here on it is trained like lora_A",
                from->dir);
    if (!rc && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(from->facts, "delta_form")))
        lf_info("%s: began from singular components; what it holds is a plain LoRA of twice the rank, and all of it is "
                "trained",
                from->dir);
    return rc;
}

/* ---- its settings, as the configuration's ---- */

/* CHECKED: a value that is given must be the adapter's. PLACES: these say together which modules are meant; where one
 * is given, the others are not taken, and what they select is compared (lf_continue_check). FREE: another may be given;
 * a wrong pattern shows by what it selects. */
static const struct {
    lf_key_id key;
    enum { CHECKED, PLACES, FREE } how;
} settings[] = {
    {LF_r, CHECKED},
    {LF_lora_alpha, CHECKED},
    {LF_use_rslora, CHECKED},
    {LF_bias, CHECKED},
    {LF_modules_to_save, CHECKED},
    {LF_use_dora, CHECKED},
    {LF_lora_dropout, FREE},
    {LF_target_modules, PLACES},
    {LF_exclude_modules, PLACES},
    {LF_layers_to_transform, PLACES},
    {LF_layers_pattern, PLACES},
    {LF_rank_pattern, FREE},
    {LF_alpha_pattern, FREE},
};
enum { N_SETTINGS = sizeof settings / sizeof settings[0] };

bool lf_adapter_says(lf_key_id key) {
    for (int i = 0; i < N_SETTINGS; i++)
        if (settings[i].key == key) return true;
    return false;
}

/* Modules by their names, of a file that names no target_modules. */
static cJSON *modules_of(const lf_adapter_file *f) {
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < f->n_entries; i++) lf_list_string(&list, f->entries[i].module);
    return lf_obj_take(&list);
}

static bool is_used(const lf_adapter_file *f, const cJSON *name) {
    bool used = false;
    for (int64_t i = 0; i < f->n_wholes; i++)
        used = used || (f->wholes[i].saved && lf_saves_by(name->valuestring, f->wholes[i].module));
    return used;
}

/* Of modules_to_save those that mean more than the head, which is trained in any case. NULL: none, or out of memory. */
static void put_saved(lf_obj *o, const lf_adapter_file *f) {
    const cJSON *item;
    lf_obj list = lf_list_new();
    cJSON_ArrayForEach(item, f->config.modules_to_save) if (cJSON_IsString(item) && is_used(f, item))
        lf_list_string(&list, item->valuestring);
    lf_obj_put(o, lf_key_name(LF_modules_to_save), lf_obj_take(&list));
}

/* What adapter_config.json says of these keys, or would by PEFT's defaults; what selects nothing is left out. */
static cJSON *settings_of(const lf_adapter_file *f) {
    const lf_peft_config *c = &f->config;
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, lf_key_name(LF_r), (double)c->r);
    lf_obj_number(&o, lf_key_name(LF_lora_alpha), c->lora_alpha);
    lf_obj_bool(&o, lf_key_name(LF_use_rslora), c->use_rslora);
    lf_obj_number(&o, lf_key_name(LF_lora_dropout), c->lora_dropout);
    lf_obj_string(&o, lf_key_name(LF_bias), c->bias);
    lf_obj_bool(&o, lf_key_name(LF_use_dora), c->use_dora);
    put_saved(&o, f);
    if (!c->target_modules) lf_obj_put(&o, lf_key_name(LF_target_modules), modules_of(f));
    for (int i = 0; i < N_SETTINGS; i++) {
        const char *name = lf_key_name(settings[i].key);
        const cJSON *said = cJSON_GetObjectItemCaseSensitive(c->json, name);
        const bool empty = (cJSON_IsArray(said) || cJSON_IsObject(said)) && !said->child;
        if (lf_json_given(said) && !empty && !(o.json && cJSON_GetObjectItemCaseSensitive(o.json, name)))
            lf_obj_copy(&o, name, said);
    }
    return lf_obj_take(&o);
}

static bool any_place_given(const lf_config *cfg) {
    bool any = false;
    for (int i = 0; i < N_SETTINGS; i++)
        any = any || (settings[i].how == PLACES && lf_cfg_is_given(cfg, settings[i].key));
    return any;
}

static lf_status check_given(const lf_config *cfg, lf_key_id key, const cJSON *value, const char *dir, lf_err *err) {
    cJSON *all = lf_cfg_to_json(cfg);
    char *text = lf_json_print_line(value);
    bool same = false;
    lf_status rc = all && text && lf_json_same(&same, cJSON_GetObjectItemCaseSensitive(all, lf_key_name(key)), value)
                       ? LF_OK
                       : lf_no_memory(err, "the settings of %s", dir);
    if (!rc && !same)
        rc = lf_cfg_fail(cfg, key, err,
                         "expected %.100s, which is that of the adapter in %s that training is to go on with; leave it "
                         "out, or begin a new adapter without continue_from",
                         text, dir);
    cJSON_Delete(all);
    lf_free(text);
    return rc;
}

static lf_status take(lf_config *cfg, const lf_adapter_file *f, lf_err *err) {
    cJSON *all = settings_of(f);
    lf_status rc = all ? LF_OK : lf_no_memory(err, "the settings of %s", f->dir);
    const bool places = any_place_given(cfg);
    for (int i = 0; i < N_SETTINGS && !rc; i++) {
        const lf_key_id key = settings[i].key;
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(all, lf_key_name(key));
        const bool given = settings[i].how == PLACES ? places : lf_cfg_is_given(cfg, key);
        if (value && given && settings[i].how == CHECKED) rc = check_given(cfg, key, value, f->dir, err);
        if (value && !given)
            rc = lf_cfg_set_json(cfg, lf_key_name(key), value, LF_PEFT_CONFIG " of continue_from", err);
    }
    cJSON_Delete(all);
    return rc;
}

/* A start of another kind beside the old factors would have to keep those frozen. */
static lf_status check_init(const lf_config *cfg, lf_err *err) {
    const cJSON *init = lf_cfg_json(cfg, LF_init_lora_weights);
    if (!lf_cfg_is_given(cfg, LF_init_lora_weights) || cJSON_IsTrue(init)) return LF_OK;
    char *text = lf_json_print_line(init);
    const lf_status rc = lf_cfg_fail(cfg, LF_init_lora_weights, err,
                                     "found %s, but training goes on with the factors of continue_from; a new start "
                                     "beside a frozen adapter is not in this version: set it to true, or merge the "
                                     "adapter (lora-ft merge) and start from the merged model",
                                     text ? text : "another start");
    lf_free(text);
    return rc;
}

/* They would be trained apart. */
static lf_status check_ties(const lf_config *cfg, const lf_adapter_file *f, lf_err *err) {
    bool shared = f->ties_saved;
    for (int64_t i = 0; i < f->n_entries; i++) shared = shared || f->entries[i].of_embedding;
    if (!f->config.ensure_weight_tying || !shared) return LF_OK;
    return lf_cfg_fail(
        cfg, LF_continue_from, err,
        "%s: key 'ensure_weight_tying' is true: embedding and output layer share their factors, or are saved as one, "
        "which training here would not keep so; merge the adapter (lora-ft merge) and start from the merged model",
        f->config_path);
}

static lf_status check_method(const lf_config *cfg, const lf_adapter_file *f, lf_err *err) {
    const char *method = lf_cfg_str(cfg, LF_method), *wanted = lf_adapter_file_is_head(f) ? "head" : "lora";
    if (strcmp(method, wanted) == 0) return LF_OK;
    return lf_cfg_fail(cfg, LF_continue_from, err, "%s holds %s, which is gone on with by --method %s, found '%s'",
                       f->dir, lf_adapter_file_is_head(f) ? "a head alone" : "a LoRA adapter", wanted, method);
}

lf_status lf_adapter_take_settings(lf_config *cfg, lf_err *err) {
    const char *dir = lf_cfg_str(cfg, LF_continue_from);
    if (!dir) return LF_OK;
    lf_adapter_file *f;
    lf_status rc = lf_adapter_open(&f, dir, err);
    if (rc) return rc;
    if (!(rc = check_method(cfg, f, err)) && !(rc = check_ties(cfg, f, err)) && !lf_adapter_file_is_head(f) &&
        !(rc = check_init(cfg, err)))
        rc = take(cfg, f, err);
    lf_adapter_close(f);
    return rc;
}
