// SPDX-License-Identifier: Apache-2.0
// The environment may hold secrets, and /proc/PID/environ shows what the kernel laid down at the
// start of the process.
#ifndef CXSINK_APP_ENVIRONMENT_H
#define CXSINK_APP_ENVIRONMENT_H

// Moves the environment to the heap, for getenv(3) and for children, and wipes what it was in.
// Once, before there are threads.
void environment_hide(void);

#endif
