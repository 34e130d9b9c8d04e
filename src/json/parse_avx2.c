// SPDX-License-Identifier: Apache-2.0
// The parser by AVX2 and BMI.
#if defined(__x86_64__)
#define VECTOR_AVX2
#include "json/parser_priv.h"

VECTOR_TARGET bool parse_avx2(struct tape *tape, const char *data, size_t length)
{
    return parser_run(tape, data, length);
}

#endif
