/* Between fork and exec. */
#ifndef LF_BASE_CHILD_H
#define LF_BASE_CHILD_H

/* Signals as a program expects to find them: none is blocked, SIGPIPE ends it, none runs a handler of ours before exec
 * forgets those, and what else is ignored stays so (nohup). To be called in the child; async-signal-safe. */
void lf_child_signals(void);

#endif
