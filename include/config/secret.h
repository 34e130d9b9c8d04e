// SPDX-License-Identifier: Apache-2.0
// Where the values of strings and secrets come from: the environment, files, systemd's
// credentials. The sentence of a failure names the variable or the file, never a value. What is
// returned is the caller's, to be freed with mem_wipe_free().
#ifndef CXSINK_CONFIG_SECRET_H
#define CXSINK_CONFIG_SECRET_H

#include "core/status.h"

// Largest file a secret is read from, bytes.
#define SECRET_FILE_MAX 65536

// Replaces ${NAME} (must be set, may be empty) and ${NAME:-default} (the default where NAME is not
// set or empty) by the environment's values, which are not expanded again. A `$` without `{` stands
// for itself. NULL with STATUS_NOT_FOUND for a variable that is not set, STATUS_INVALID for what is
// not of this form.
char *secret_expand(const char *text, struct status *st);

// The value of an environment variable. NULL when it is not set.
char *secret_from_env(const char *name, struct status *st);
// The content of a file without one newline at its end. NULL when it cannot be read, is too large
// or holds a NUL.
char *secret_from_file(const char *path, struct status *st);
// The file `name` in $CREDENTIALS_DIRECTORY (systemd.exec(5), "Credentials").
char *secret_from_credential(const char *name, struct status *st);

#endif
