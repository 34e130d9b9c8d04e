// SPDX-License-Identifier: Apache-2.0
// The TLS files that a configuration names: whether they can be used, and whether they changed.
// Looked at before a configuration is put in force, so that a wrong path stops no stream.
#ifndef CXSINK_APP_CERTIFICATES_H
#define CXSINK_APP_CERTIFICATES_H

#include "config/load.h"

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

// Reads the files of every stream, credential and API; adds a fault for each that cannot be used.
void certificates_check(const struct config *config, struct config_faults *faults);

// Which files they are at this moment. A renewed certificate under the same name is another file,
// or has another time.
struct certificates_mark {
    struct {
        dev_t device;
        ino_t inode;
        off_t size;
        struct timespec changed;
    } files[3]; // zero: not configured, or not there
};
struct certificates_mark certificates_mark(const struct config_tls *tls);
bool certificates_mark_equal(const struct certificates_mark *a, const struct certificates_mark *b);

#endif
