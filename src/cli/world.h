/* What other processes the program does its verb with: one of two files is linked. alone.c (lora-ft): none. mpi.c
 * (lora-ft-mpi): those of its MPI_COMM_WORLD. */
#ifndef LF_CLI_WORLD_H
#define LF_CLI_WORLD_H

#include "lora_ft.h"

/* Once, behind lf_signals_take: the threads of a library for messages then take no signal. *out NULL: no others. */
lf_status lf_world_begin(const lf_transport **out, lf_err *err);
/* Once, when the verb is through. failed_alone: the others know nothing of the failure; they are ended, and this
 * process with them, by `code`. */
void lf_world_end(bool failed_alone, int code);

#endif
