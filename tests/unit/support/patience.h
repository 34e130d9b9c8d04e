// SPDX-License-Identifier: Apache-2.0
// How long a test waits for what must come, seconds: it ends one that would wait for ever, and no
// machine is so busy that it meets it.
#ifndef CXSINK_TESTS_SUPPORT_PATIENCE_H
#define CXSINK_TESTS_SUPPORT_PATIENCE_H

#define PATIENCE_S 240
#define PATIENCE_US (PATIENCE_S * INT64_C(1000000))

#endif
