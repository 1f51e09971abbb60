#include "tools/generating.h"

static lf_status read_opts(lf_generating *j, lf_err *err) {
    const lf_config *cfg = j->cfg;
    const int64_t n = lf_cfg_list_count(cfg, LF_stop);
    if (n > LF_MOST_STOPS)
        return lf_cfg_fail(cfg, LF_stop, err, "expected at most %d strings, found %lld", LF_MOST_STOPS, (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (!*(j->stops[i] = lf_cfg_list_at(cfg, LF_stop, i)))
            return lf_cfg_fail(cfg, LF_stop, err, "an empty string would end every text at once");
    j->opts = (lf_generate_opts){.sampling = {.repetition_penalty = lf_cfg_f64(cfg, LF_repetition_penalty),
                                              .temperature = lf_cfg_f64(cfg, LF_temperature),
                                              .top_k = lf_cfg_i64(cfg, LF_top_k),
                                              .top_p = lf_cfg_f64(cfg, LF_top_p),
                                              .min_p = lf_cfg_f64(cfg, LF_min_p),
                                              .seed = (uint64_t)lf_cfg_i64(cfg, LF_seed)},
                                 .max_new_tokens = lf_cfg_i64(cfg, LF_max_new_tokens),
                                 .stops = j->stops,
                                 .n_stops = n,
                                 .ignore_eos = lf_cfg_bool(cfg, LF_ignore_eos)};
    j->json = lf_cfg_bool(cfg, LF_json);
    return LF_OK;
}

static lf_status check_writes(const lf_model *m, lf_err *err) {
    if (lf_model_says(m, LF_NEXT_TOKEN)) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED, "%s: a model of type '%s' writes no text; use predict, which says classes",
                   m->config_path, m->family->model_type);
}

static lf_status begin(lf_generating *j, lf_model *m, lf_graph *g, lf_text_tokenizer *text, lf_err *err) {
    const bool given = lf_cfg_is_given(j->cfg, LF_max_seq_length);
    j->text = text;
    return lf_generator_new(&j->generator, m, g, text->tokenizer, given ? lf_cfg_i64(j->cfg, LF_max_seq_length) : 0,
                            err);
}

static lf_status open_all(lf_generating *j, lf_err *err) {
    lf_status rc = lf_opened_open(&j->opened, j->cfg, LF_LOAD_FROZEN, err);
    if (rc) return rc;
    lf_model *m = j->opened.model;
    if ((rc = check_writes(m, err)) || (rc = lf_language_check_length(j->cfg, m, err)) ||
        (rc = lf_language_tokenizer(&j->text_of_own, j->cfg, m, err)))
        return rc;
    return begin(j, m, j->opened.g, j->text_of_own, err);
}

lf_status lf_generating_open(lf_generating *j, const lf_config *cfg, FILE *out, lf_err *err) {
    *j = (lf_generating){.cfg = cfg, .out = out};
    const lf_status rc = read_opts(j, err);
    return rc ? rc : open_all(j, err);
}

lf_status lf_generating_begin(lf_generating *j, const lf_config *cfg, lf_model *m, lf_graph *g, lf_text_tokenizer *text,
                              lf_err *err) {
    *j = (lf_generating){.cfg = cfg};
    lf_status rc;
    if ((rc = check_writes(m, err)) || (rc = read_opts(j, err))) return rc;
    return begin(j, m, g, text, err);
}

void lf_generating_end_turns(lf_generating *j) {
    const lf_text_tokenizer *t = j->text;
    const char *text = lf_chat_template_turn_end(t->chat_template);
    lf_text_tokenizer_warn_turn_end(j->text);
    j->opts.ends = &t->turn_end;
    j->opts.n_ends = t->turn_end >= 0;
    if (t->turn_end < 0 && *text && !j->opts.ignore_eos) j->stops[j->opts.n_stops++] = text;
}

void lf_generating_close(lf_generating *j) {
    lf_generator_free(j->generator);
    lf_text_tokenizer_free(j->text_of_own);
    lf_opened_close(&j->opened);
}
