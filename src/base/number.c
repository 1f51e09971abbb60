#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Plain from `plain` up to 99999; "3.00000e-04" as "3e-4". */
static void put(char *text, size_t size, double value, double plain, int digits) {
    char rounded[40];
    snprintf(rounded, sizeof rounded, "%.*e", digits - 1, value);
    const double magnitude = fabs(strtod(rounded, NULL));
    if (value == 0 || !isfinite(value) || (magnitude >= plain && magnitude < 99999.5)) {
        snprintf(text, size, "%.*g", digits > 5 ? digits : 5, strtod(rounded, NULL)); /* no exponent below 99999 */
        return;
    }
    char *e = strchr(rounded, 'e'), *end = e;
    if (memchr(rounded, '.', (size_t)(e - rounded))) {
        while (end[-1] == '0') end--;
        if (end[-1] == '.') end--;
    }
    const char *exponent = e + 2 + strspn(e + 2, "0");
    snprintf(text, size, "%.*se%s%s", (int)(end - rounded), rounded, e[1] == '-' ? "-" : "",
             *exponent ? exponent : "0");
}

void lf_number_short(char *text, size_t size, double value) { put(text, size, value, 0.01, LF_SETTING_DIGITS); }
void lf_number_rate(char *text, size_t size, double rate, int digits) { put(text, size, rate, 0.1, digits); }

/* What is longer than some seconds, in these words. */
static const char *put_time(char *text, size_t size, double seconds, const char *minutes, const char *hours) {
    if (seconds < 2 * 3600)
        snprintf(text, size, "%.0f %s", seconds / 60, minutes);
    else
        snprintf(text, size, "%.1f %s", seconds / 3600, hours);
    return text;
}

enum { IN_SECONDS = 120 }; /* what is shorter */

const char *lf_number_time(char *text, size_t size, double seconds) {
    if (seconds >= IN_SECONDS) return put_time(text, size, seconds, "min", "h");
    snprintf(text, size, "%.0f s", seconds);
    return text;
}

const char *lf_number_duration(char *text, size_t size, double seconds) {
    if (seconds >= IN_SECONDS) return put_time(text, size, seconds, "minutes", "hours");
    snprintf(text, size, "%.3g s", seconds);
    return text;
}
