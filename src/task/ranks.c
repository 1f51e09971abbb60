#include "task/ranks.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/mem.h"
#include "base/world.h"
#include "io/stored.h"
#include "linalg/svd.h"
#include "task/source.h"

/* All keys but those that name files, and what the source takes from the time of the call, as one hash: what happens
 * beside the steps has to happen on all ranks too. */
static lf_status hash_settings(char hash[33], const lf_task *t, lf_err *err) {
    lf_obj o = lf_obj_of(lf_cfg_select(t->cfg, ~0u, LF_IS_INPUT | LF_IS_RECORD | LF_IS_CALL));
    if (t->source->put_moment) t->source->put_moment(t, &o);
    cJSON *json = lf_obj_take(&o);
    char *text = json ? lf_json_print_line(json) : NULL;
    cJSON_Delete(json);
    if (!text) return lf_no_memory(err, "the settings of a run");
    lf_stored_hash(hash, text, strlen(text));
    lf_free(text);
    return LF_OK;
}

/* Results depend on the number of threads, and a rank of its own choice would have those of its machine. */
static lf_status check_threads(const lf_task *t, int threads, lf_err *err) {
    const int processors = lf_machine_processors();
    char text[24];
    snprintf(text, sizeof text, "%d", threads);
    lf_status rc =
        lf_cfg_i64(t->cfg, LF_threads) > 0
            ? LF_OK
            : lf_cfg_fail(t->cfg, LF_threads, err,
                          "results depend on it, so with %d ranks say how many each of them has", lf_world_size());
    if ((rc = lf_world_agree(rc, err))) return rc;
    if (processors < threads)
        lf_warn("a rank may run on %d processor%s here, and has %d threads: give mpirun --bind-to none, or --map-by "
                "slot:PE=%d",
                processors, processors == 1 ? "" : "s", threads, threads);
    return lf_world_same("key 'threads'", text, "give all of them the same", err);
}

lf_status lf_task_check_ranks(const lf_task *t, int threads, lf_err *err) {
    const lf_kernels *k = lf_graph_kernels(t->g);
    char settings[33] = "", solver[256]; /* BLAS, and the processor's kind that it chose its kernels for */
    lf_status rc;
    if (lf_world_size() == 1) return LF_OK;
    lf_svd_solver(solver, sizeof solver);
    if ((rc = lf_world_agree(hash_settings(settings, t, err), err)) || (rc = check_threads(t, threads, err)) ||
        (rc = lf_world_same("the version", lf_version(), "install one on all of them", err)) ||
        (rc = lf_world_same("kernels", k->name, "set LF_KERNELS to some that all processors have", err)) ||
        (rc = lf_world_same(
             "the library of products", solver,
             "install one on all of them; where processors differ, OPENBLAS_CORETYPE=Haswell beside LF_KERNELS=avx2",
             err)) ||
        (rc = lf_world_same("key 'precision'", k->precision, "say which", err)) ||
        (rc = lf_world_same("the settings' hash", settings, "give all of them the same configuration", err)))
        return rc;
    lf_info("%d ranks of %d threads", lf_world_size(), threads);
    return lf_world_same("key 'model': the hash of its files", t->model->hash, "give all of them the same files", err);
}
