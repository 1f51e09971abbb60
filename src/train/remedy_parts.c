/* What several remedies have in common: what they cannot be combined with, and how they read files. */
#include "base/string.h"
#include "train/remedies.h"

lf_status lf_remedy_needs_factors(const lf_run *run, lf_key_id key, lf_err *err) {
    if (run->method != LF_METHOD_LORA)
        return lf_cfg_fail(run->cfg, key, err,
                           "is a term of an adapter's factors, found method %s; leave it out, or train an adapter "
                           "(method lora)",
                           lf_cfg_str(run->cfg, LF_method));
    if (lf_cfg_bool(run->cfg, LF_use_dora))
        return lf_cfg_fail(run->cfg, key, err,
                           "is a term of dW = scaling B A, and with use_dora the update is no such product; leave one "
                           "of the two out");
    return LF_OK;
}

lf_status lf_remedy_take_places(void *state, char **hash, const lf_run *run, lf_key_id key, lf_remedy_take *take,
                                lf_err *err) {
    lf_paths places = {0};
    lf_string hashes = {0};
    char one[33];
    lf_status rc = lf_cfg_paths(&places, run->cfg, key, err);
    for (int64_t i = 0; !rc && i < places.n; i++)
        if (!(rc = take(state, one, run, places.at[i], err))) lf_string_add(&hashes, "%s%s", i ? " " : "", one);
    if (!rc && !(*hash = lf_string_take(&hashes))) rc = lf_no_memory(err, "a remedy");
    lf_string_free(&hashes);
    lf_paths_free(&places);
    return rc;
}
