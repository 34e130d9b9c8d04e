// SPDX-License-Identifier: Apache-2.0
// The parser by NEON.
#if defined(__AARCH64EL__)
#define VECTOR_NEON
#include "json/parser_priv.h"

VECTOR_TARGET bool parse_neon(struct tape *tape, const char *data, size_t length)
{
    return parser_run(tape, data, length);
}

#endif
