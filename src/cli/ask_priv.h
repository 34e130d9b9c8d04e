// SPDX-License-Identifier: Apache-2.0
// Asks the running daemon over its control socket, without a loop.
#ifndef CXSINK_CLI_ASK_PRIV_H
#define CXSINK_CLI_ASK_PRIV_H

#include "core/buf.h"
#include "core/status.h"

#include <stdint.h>

// What a command waits for an answer.
#define ASK_PATIENCE_US (10 * INT64_C(1000000))

// The body of the answer to `asked`, such as "GET /api/status", in `answer` (emptied before), which
// must stay for as long as it is used. NULL with a sentence: STATUS_INVALID for a directory whose
// name is too long for a socket, STATUS_UNAVAILABLE where nobody listens, STATUS_DENIED where the
// caller may not connect, STATUS_TIMEOUT where the whole answer does not come in `patience_us`,
// STATUS_IO for one that is none.
const char *ask_daemon(const char *runtime_dir, const char *asked, int64_t patience_us,
                       struct buf *answer, struct status *st);

#endif
