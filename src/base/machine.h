/* Where and when: for records of what was measured, never for results. */
#ifndef LF_BASE_MACHINE_H
#define LF_BASE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* The processor as it calls itself, "AMD EPYC 7763"; "unknown" where the system does not say. */
void lf_machine_processor(char *text, size_t size);
/* On how many processors this process may run. */
int lf_machine_processors(void);
/* Now; SOURCE_DATE_EPOCH (seconds) stands for it, as in reproducible builds: *fixed. */
time_t lf_machine_now(bool *fixed);
/* The day, UTC: "2026-11-29". */
void lf_machine_date(char text[16]);

#endif
