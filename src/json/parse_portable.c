// SPDX-License-Identifier: Apache-2.0
// The parser by eight bytes in a word, on any machine.
#include "json/parser_priv.h"

bool parse_portable(struct tape *tape, const char *data, size_t length)
{
    return parser_run(tape, data, length);
}
