// SPDX-License-Identifier: Apache-2.0
// What the files of `cxsink audit` share.
#ifndef CXSINK_CLI_AUDIT_PRIV_H
#define CXSINK_CLI_AUDIT_PRIV_H

#include <stdbool.h>

struct audit_request {
    unsigned verb;
    const char *config, *dir;
    const char *key_file;
    const char *event, *stream; // of tail; NULL: all
    long long lines;            // 0: as many as usual
    bool follow, json;
};

// The exit code.
int audit_tail(const struct audit_request *request, const char *path);

#endif
