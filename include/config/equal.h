// SPDX-License-Identifier: Apache-2.0
// Whether a reload changed a credential or a stream: what did not change keeps its connection.
#ifndef CXSINK_CONFIG_EQUAL_H
#define CXSINK_CONFIG_EQUAL_H

#include "config/load.h"

#include <stdbool.h>

// All settings are the same, secrets included.
bool config_auth_equal(const struct config_auth *a, const struct config_auth *b);
// All settings that concern the connection are the same; the schema and the table are not looked
// at, and the credential is the caller's to compare.
bool config_stream_equal(const struct config_stream *a, const struct config_stream *b);

#endif
