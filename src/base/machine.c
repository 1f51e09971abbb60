#define _GNU_SOURCE /* sched_getaffinity */
#include "base/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lf_machine_processor(char *text, size_t size) {
    static const char key[] = "model name";
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(text, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, sizeof key - 1) || !colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(text, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    if (f) fclose(f);
}

int lf_machine_processors(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

time_t lf_machine_now(bool *fixed) {
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    *fixed = epoch && *epoch;
    return *fixed ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
}

void lf_machine_date(char text[16]) {
    bool fixed;
    const time_t now = lf_machine_now(&fixed);
    struct tm day = {0};
    gmtime_r(&now, &day);
    if (!strftime(text, 16, "%Y-%m-%d", &day)) text[0] = 0;
}
