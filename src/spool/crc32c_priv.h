// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli; RFC 3720 appendix B.4): by the processor's instruction where it has one,
// else by table.
#ifndef CXSINK_SPOOL_CRC32C_PRIV_H
#define CXSINK_SPOOL_CRC32C_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Goes on from `crc`, 0 at the start: crc32c(crc32c(0, a), b) is the CRC of a followed by b.
uint32_t crc32c(uint32_t crc, const void *data, size_t length);

// The two ways to it, for tests. The first must only be called when there is the instruction.
bool crc32c_has_instruction(void);
uint32_t crc32c_by_instruction(uint32_t crc, const void *data, size_t length);
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t length);

#endif
