/* Whether the system lets this process create threads. libgomp ends the process when it cannot
   create one (no memory for the stack, a limit of processes in a container). */
#ifndef FD_RUNTIME_PROBE_H
#define FD_RUNTIME_PROBE_H

/* How many of `wanted` threads can be created in addition to those that exist. It creates them,
   with the stacks that the OpenMP library would give them, and ends them again: 10 to 30 us each.
 */
int fd_probe_threads(int wanted);

#endif
