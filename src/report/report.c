/* The verb `report`. */
#include "report/report.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "config/config.h"

lf_status lf_report(const lf_config *cfg, FILE *out, lf_err *err) {
    const bool after_train = strcmp(lf_cfg_verb(cfg), "train") == 0;
    if (after_train && lf_cfg_bool(cfg, "dry_run")) return LF_OK;
    const char *run = lf_cfg_str(cfg, after_train ? "output_dir" : "run");
    if (!lf_is_dir(run)) return lf_fail(err, LF_ENOTFOUND, "%s: no such folder; expected the output_dir of a training run", run);
    bool drawn;
    lf_status rc;
    if ((rc = lf_report_curves(run, &drawn, err)) || (rc = lf_report_html(run, err))) return rc;
    if (after_train && lf_cfg_bool(cfg, "json")) return LF_OK; /* stdout has its one object already */
    if (lf_cfg_bool(cfg, "json")) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "run", run);
        cJSON_AddBoolToObject(o, "drawn", drawn);
        char *text = lf_json_print_line(o);
        fprintf(out, "%s\n", text ? text : "{}");
        lf_free(text);
        cJSON_Delete(o);
        return LF_OK;
    }
    if (drawn) fprintf(out, "picture: %s/curves.svg\n", run);
    fprintf(out, "report:  %s/report.html\n", run);
    return LF_OK;
}
