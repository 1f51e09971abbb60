#include "base/hub.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

static const struct {
    const char *what, *flags;
} kinds[] = {[LF_HUB_MODEL] = {"a model", ""}, [LF_HUB_DATASET] = {"a data set", "--repo-type dataset "}};

/* Where a name stands behind the address. */
static const char *const addresses[] = {"hf://datasets/", "https://huggingface.co/datasets/", "https://huggingface.co/",
                                        "hf://models/", "hf://"};

static bool is_address(const char *path) {
    size_t n = 0;
    while (isalnum((unsigned char)path[n])) n++;
    return n > 0 && strncmp(path + n, "://", 3) == 0;
}

bool lf_hub_is_name(const char *path) {
    int slashes = 0;
    if (!isalnum((unsigned char)path[0])) return false;
    for (const char *c = path; *c; c++) {
        if (*c == '/' && (++slashes > 1 || !isalnum((unsigned char)c[1]))) return false;
        if (!isalnum((unsigned char)*c) && !strchr("/._-", *c)) return false;
    }
    return true;
}

static const char *behind_address(const char *path) {
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        const size_t n = strlen(addresses[i]);
        if (strncmp(path, addresses[i], n) == 0 && lf_hub_is_name(path + n)) return path + n;
    }
    return path;
}

const char *lf_hub_hint(char buf[LF_HUB_HINT], const char *path, lf_hub_kind kind, const char *option) {
    const char *name = behind_address(path), *folder = lf_path_base(name);
    buf[0] = 0;
    if (lf_hub_is_name(name) && strlen(name) < 200)
        snprintf(buf, LF_HUB_HINT,
                 "; if it is %s of the Hugging Face hub, fetch it: hf download %s%s --local-dir %s, then %s %s",
                 kinds[kind].what, kinds[kind].flags, name, folder, option, folder);
    else if (is_address(path))
        snprintf(buf, LF_HUB_HINT, "; nothing is fetched from addresses: download it, then give the path it has here");
    return buf;
}
