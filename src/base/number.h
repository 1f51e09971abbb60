/* Numbers as people write them. */
#ifndef LF_BASE_NUMBER_H
#define LF_BASE_NUMBER_H

#include <stddef.h>

enum { LF_SETTING_DIGITS = 6, LF_MOMENT_DIGITS = 3 }; /* of what somebody has set; of what it is at a moment */

/* "0.02", "3e-4": short enough for a tic. */
void lf_number_short(char *text, size_t size, double value);
/* A learning rate, which people write "3e-4", "1e-2", "0.5"; rounded to so many digits (1 to 15). */
void lf_number_rate(char *text, size_t size, double rate, int digits);
/* How long something takes: "45 s", "12 min" from two minutes, "2.5 h" from two hours. Returns text. */
const char *lf_number_time(char *text, size_t size, double seconds);
/* The same within a sentence, of what was estimated: "4.56 s", "12 minutes", "2.5 hours". */
const char *lf_number_duration(char *text, size_t size, double seconds);

#endif
