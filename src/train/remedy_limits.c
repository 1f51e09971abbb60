/* What several remedies cannot be combined with. */
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
