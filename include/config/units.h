// SPDX-License-Identifier: Apache-2.0
// Durations and sizes as people write them. Pure.
#ifndef CXSINK_CONFIG_UNITS_H
#define CXSINK_CONFIG_UNITS_H

#include <stdbool.h>
#include <stdint.h>

// Bytes that the longest formatted duration or size takes, its NUL included.
#define UNITS_TEXT_SIZE 32

// What the parsers below take, as regular expressions without anchors (for the JSON Schema).
#define UNITS_DURATION_PATTERN "[0-9]+(us|ms|s|m|h|d)"
#define UNITS_SIZE_PATTERN "[0-9]+(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?"

// A whole number and one unit of us, ms, s, m, h, d ("250ms", "0s"), to microseconds. False for
// anything else, and for what does not fit into 63 bits.
bool units_duration_parse(const char *text, int64_t *us_r);
// A whole number and one unit of B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of
// 1024), or none (bytes). False for anything else, and for what does not fit into 63 bits.
bool units_size_parse(const char *text, uint64_t *bytes_r);

// In the largest unit that needs no fraction: 90000000 is "90s", 3600000000 is "1h", 0 is "0s".
void units_duration_format(int64_t us, char text[UNITS_TEXT_SIZE]);
// In the largest unit of powers of 1024 that needs no fraction: 524288 is "512KiB", 0 is "0B".
void units_size_format(uint64_t bytes, char text[UNITS_TEXT_SIZE]);

#endif
