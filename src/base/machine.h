/* Where and when: for records of what was measured, never for results. */
#ifndef LF_BASE_MACHINE_H
#define LF_BASE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* The processor as it calls itself, "AMD EPYC 7763"; "unknown" where the system does not say. */
void lf_machine_processor(char *text, size_t size);
/* On how many processors this process may run. */
int lf_machine_processors(void);
/* Bytes that this process may still take: what the system, the control groups (of either version) that it is in, and
 * ulimit leave; the least of them. Below 0: nothing says it. root: "", or a folder in whose proc and sys it is looked
 * up, for tests. machine_memory.c */
int64_t lf_machine_memory(const char *root);
/* Now; SOURCE_DATE_EPOCH (seconds) stands for it, as in reproducible builds: *fixed. */
time_t lf_machine_now(bool *fixed);
/* The day, UTC: "2026-11-29". */
void lf_machine_date(char text[16]);

#endif
