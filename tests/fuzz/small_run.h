/* A run over a model of a few thousand numbers and a few grey pictures, in the process's own folder: for what is read
 * only by one. It stays open for as long as the process. */
#ifndef LF_TEST_FUZZ_SMALL_RUN_H
#define LF_TEST_FUZZ_SMALL_RUN_H

#include "fuzz.h"
#include "train/run.h"

static inline void put_picture(const char *name, unsigned char level) {
    unsigned char bytes[16 + 256];
    char dir[200];
    const int header = snprintf((char *)bytes, 16, "P5 16 16 255\n");
    memset(bytes + header, level, 256);
    snprintf(dir, sizeof dir, "%s", name);
    *strrchr(dir, '/') = 0;
    require(lf_mkdir_p(in_folder(dir), NULL) == LF_OK);
    put_file(name, bytes, (size_t)header + 256);
}

/* A failure here is no finding, but a target that does not do its work. */
static inline void must(lf_status rc, const lf_err *err) {
    if (rc) fprintf(stderr, "the run that the target is about: %s\n", err->message);
    require(rc == LF_OK);
}

/* dir: of its output. keys: "key value key value ..." beside the usual ones; NULL behind them. */
static inline lf_config *small_config(const char *dir, const char *const *keys) {
    lf_config *cfg = NULL;
    lf_err err = {0};
    const char *const usual[] = {"model",
                                 LF_TEST_DIR "/golden/vit-base",
                                 "train_data",
                                 in_folder("data"),
                                 "output_dir",
                                 in_folder(dir),
                                 "threads",
                                 "1",
                                 "max_steps",
                                 "20",
                                 "r",
                                 "1",
                                 "decomposition_cache",
                                 "none",
                                 NULL};
    put_picture("data/dark/0.pgm", 20);
    put_picture("data/light/1.pgm", 220);
    must(lf_config_new(&cfg, "train", &err), &err);
    for (const char *const *k = usual; *k; k += 2) must(lf_config_set(cfg, k[0], k[1], &err), &err);
    for (; *keys; keys += 2) must(lf_config_set(cfg, keys[0], keys[1], &err), &err);
    must(lf_config_finish(cfg, &err), &err);
    return cfg;
}

#endif
