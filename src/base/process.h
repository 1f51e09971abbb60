/* A process as others may know it, also from other machines. */
#ifndef LF_BASE_PROCESS_H
#define LF_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct lf_process {
    char host[256];    /* as its machine calls itself: for people */
    char machine[128]; /* one boot of one kernel, and one space of process numbers; "": not known */
    int64_t number;    /* in that space */
    int64_t since;     /* when it began, in ticks of that machine: numbers are used again; 0: not known */
} lf_process;

void lf_process_self(lf_process *p);
/* It is known to have ended. Of a process on another machine nothing is known. */
bool lf_process_is_gone(const lf_process *p);

#endif
