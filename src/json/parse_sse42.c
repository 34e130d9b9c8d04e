// SPDX-License-Identifier: Apache-2.0
// The parser by SSE4.2.
#if defined(__x86_64__)
#define VECTOR_SSE42
#include "json/parser_priv.h"

VECTOR_TARGET bool parse_sse42(struct tape *tape, const char *data, size_t length)
{
    return parser_run(tape, data, length);
}

#endif
