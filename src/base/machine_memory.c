#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/machine.h"

enum { PATH = 1024 };

/* The number behind `name` in a file of lines "name number" or "name: number kB"; name "": the file's only number.
 * False: there is none ("max" is none). */
static bool number_in(const char *path, const char *name, int64_t *value) {
    char line[512];
    long long n = 0;
    bool found = false;
    const size_t length = strlen(name);
    FILE *f = fopen(path, "r");
    while (f && !found && fgets(line, sizeof line, f)) {
        const char *rest = line + length;
        if (strncmp(line, name, length)) continue;
        rest += length && *rest == ':';
        found = (!length || *rest == ' ' || *rest == '\t') && sscanf(rest, "%lld", &n) == 1;
        if (found && strstr(rest, " kB")) n *= 1024;
    }
    if (f) fclose(f);
    *value = n;
    return found;
}

static void at_most(int64_t *least, int64_t more) {
    if (more < 0) more = 0;
    if (*least < 0 || more < *least) *least = more;
}

/* Files of one kind of control groups. Pages of files that a group has read are counted, and given up when asked. */
typedef struct group_files {
    const char *below, *limit, *used, *cached[2];
} group_files;
static const group_files v1 = {"/memory",
                               "memory.limit_in_bytes",
                               "memory.usage_in_bytes",
                               {"total_inactive_file", "total_active_file"}},
                         v2 = {"", "memory.max", "memory.current", {"inactive_file", "active_file"}};

static void look_at_group(int64_t *least, const char *dir, const group_files *g) {
    char path[PATH];
    int64_t limit, used, cached, more = 0;
    snprintf(path, sizeof path, "%.900s/%s", dir, g->limit);
    if (!number_in(path, "", &limit)) return;
    snprintf(path, sizeof path, "%.900s/%s", dir, g->used);
    if (!number_in(path, "", &used)) return;
    snprintf(path, sizeof path, "%.900s/memory.stat", dir);
    for (int i = 0; i < 2; i++)
        if (number_in(path, g->cached[i], &cached)) more += cached;
    at_most(least, limit - used + more);
}

/* The group and all above it: in a container the upper ones may not be there. */
static void look_at_groups(int64_t *least, const char *root) {
    char path[PATH], line[PATH], dir[PATH];
    snprintf(path, sizeof path, "%.400s/proc/self/cgroup", root);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        const group_files *g = strncmp(line, "0::", 3) == 0 ? &v2 : strstr(line, ":memory:") ? &v1 : NULL;
        if (!g) continue;
        line[strcspn(line, "\n")] = 0;
        char *group = strchr(strchr(line, ':') + 1, ':') + 1;
        for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
            *end = 0;
            snprintf(dir, sizeof dir, "%.400s/sys/fs/cgroup%s%.500s", root, g->below, group);
            look_at_group(least, dir, g);
        }
    }
    if (f) fclose(f);
}

static void look_at_limit(int64_t *least, const char *status, int which, const char *name) {
    struct rlimit limit;
    int64_t taken;
    if (getrlimit(which, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < INT64_MAX &&
        number_in(status, name, &taken))
        at_most(least, (int64_t)limit.rlim_cur - taken);
}

int64_t lf_machine_memory(const char *root) {
    char path[PATH];
    int64_t least = -1, there;
    snprintf(path, sizeof path, "%.900s/proc/meminfo", root);
    if (number_in(path, "MemAvailable", &there)) at_most(&least, there);
    look_at_groups(&least, root);
    snprintf(path, sizeof path, "%.900s/proc/self/status", root);
    look_at_limit(&least, path, RLIMIT_AS, "VmSize");
    look_at_limit(&least, path, RLIMIT_DATA, "VmData");
    return least;
}
