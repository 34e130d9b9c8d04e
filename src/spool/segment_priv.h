// SPDX-License-Identifier: Apache-2.0
// The format of a segment file, pure. Numbers are little-endian.
//
//   segment   header, then records without padding
//   header    64 bytes: "CXSPOOL\x01", version, spool id, first seq, end of the segment before,
//             zeros, CRC over all of it
//   record    36 bytes: magic, CRC of the rest of this header, CRC of the data, payload length,
//             seq, received_us, kind, length of the stream's name, zeros;
//             then the data: the stream's name, the payload
//
// Every record's CRC starts from the spool's id: a payload that holds the image of a record is
// never taken for one while a damaged place is searched for the next record, for who sends
// payloads does not know the id. The magic is not valid UTF-8, so that no text payload holds it.
#ifndef CXSINK_SPOOL_SEGMENT_PRIV_H
#define CXSINK_SPOOL_SEGMENT_PRIV_H

#include "core/uuid.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENT_HEADER_SIZE 64
#define SEGMENT_VERSION 1
#define RECORD_HEADER_SIZE 36
#define RECORD_MAGIC "\xc5\x58\x52\xfa"
#define RECORD_MAGIC_SIZE 4
// Least bytes of a record: one byte of stream name, no payload.
#define RECORD_MIN_SIZE (RECORD_HEADER_SIZE + 1)
// Longest payload, bytes. A longer one is no record.
#define RECORD_PAYLOAD_MAX (UINT32_C(1) << 30)
// Numbers of records stay below this; a greater one is damage.
#define SEQ_MAX (UINT64_C(1) << 62)

// "%016x.seg" and the NUL.
#define SEGMENT_NAME_SIZE 21

struct segment_header {
    struct uuid id;
    uint64_t first_seq; // least sequence number that a record of this file may have
    uint64_t prev_end;  // one more than the last sequence number written before this file was made
};

// A record's header, checked.
struct record_header {
    uint64_t seq;
    int64_t received_us;
    uint32_t data_crc;
    uint32_t len;
    enum spool_kind kind;
    unsigned stream_len;
};

void segment_name(uint64_t first_seq, char name[SEGMENT_NAME_SIZE]);
// False when it is not the name of a segment, or its number is out of range.
bool segment_name_parse(const char *name, uint64_t *first_seq_r);

void segment_header_encode(const struct segment_header *header, char out[SEGMENT_HEADER_SIZE]);
bool segment_header_decode(const char in[SEGMENT_HEADER_SIZE], struct segment_header *header_r);

// From where the CRCs of a spool's records start.
uint32_t record_seed(const struct uuid *id);
// May it be stored: lengths and kind.
bool record_valid(const struct spool_record *record);
// Bytes of a record in a segment.
static inline size_t record_size(const struct spool_record *record)
{
    return RECORD_HEADER_SIZE + record->stream_len + record->len;
}
// Writes record_size() bytes with the number `seq`.
void record_encode(const struct spool_record *record, uint64_t seq, uint32_t seed, char *out);
// Checks magic, header CRC and plausibility of RECORD_HEADER_SIZE bytes.
bool record_header_decode(const char *in, uint32_t seed, struct record_header *header_r);
// Bytes of the whole record.
static inline uint64_t record_header_total(const struct record_header *header)
{
    return (uint64_t)RECORD_HEADER_SIZE + header->stream_len + header->len;
}
// Checks the data that follows the header at `in`, and points `record_r` into it.
bool record_decode(const char *in, const struct record_header *header, uint32_t seed,
                   struct spool_record *record_r);

#endif
