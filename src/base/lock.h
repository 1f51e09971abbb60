/* Locks between processes. */
#ifndef LF_BASE_LOCK_H
#define LF_BASE_LOCK_H

#include "base/error.h"

/* An advisory lock that processes agree on by a folder, in which nothing is made. It is held until lf_lock_drop, or
 * until this process and all that it started have ended. `wait`: until it is free or lf_interrupt was called
 * (LF_EINTERRUPTED); else *lock is -1 if another holds it. LF_EIO if there can be none there (a file system without
 * locks). */
lf_status lf_lock_take(int *lock, const char *folder, bool wait, lf_err *err);
void lf_lock_drop(int lock); /* -1 is allowed */
/* Has another one the lock of a folder? false where there is no such folder, or no locks. LF_EINTERRUPTED alone is an
 * error: nothing was found out. */
lf_status lf_lock_is_held(bool *held, const char *folder);

/* Who has the lock of a folder, for people: "process 1234 on thishost"; "a process of another machine, or container"
 * where the kernel does not say (only of its own is it asked). */
void lf_lock_name_holder(char *to, size_t size, const char *folder);

#endif
