#include "base/outlet.h"

#include "base/json.h"

lf_status lf_outlet_take(lf_outlet *o, cJSON *results, lf_err *err) {
    if (o->out) return lf_json_write_line(o->out, results, err);
    cJSON_Delete(o->kept);
    o->kept = results;
    return results ? LF_OK : lf_no_memory(err, "the results");
}
