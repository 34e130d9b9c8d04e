// SPDX-License-Identifier: Apache-2.0
// ECMA-262 regular expressions (with the u flag, as JSON Schema Core section 6.4 recommends),
// checked and translated by schema/ecma, run by PCRE2, or, for simple anchored ones, by a scan.
#ifndef CXSINK_SCHEMA_REGEX_PRIV_H
#define CXSINK_SCHEMA_REGEX_PRIV_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct regex;

enum regex_result { REGEX_NO_MATCH, REGEX_MATCH, REGEX_LIMIT };

// Compiles a pattern (UTF-8). STATUS_INVALID: not a pattern of ECMA-262, or one that PCRE2 cannot
// run with the same meaning; the sentence says what and at which offset, not the pattern.
enum status_code regex_compile(const char *pattern, size_t length, struct regex **regex_r,
                               struct status *st) STATUS_MUST_CHECK;
void regex_destroy(struct regex **regex);
// Does it match anywhere in the text (well-formed UTF-8)? *steps is what this and further matches
// may take, and goes down by what it took: about the bytes looked at, and 16 for each choice tried;
// the same in every run. REGEX_LIMIT: that was not enough, or memory was not (64 MiB), so the
// answer is not known. A scan takes none.
enum regex_result regex_match(struct regex *regex, const char *text, size_t length, int64_t *steps);
// Steps for a value of `length` bytes: some 100 ns each byte, and 20 ms.
#define REGEX_STEPS(length) ((INT64_C(1) << 26) + (int64_t)(length)*256)
// Does it run as a scan? For tests.
bool regex_is_scan(const struct regex *regex);

#endif
