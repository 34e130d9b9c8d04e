// SPDX-License-Identifier: Apache-2.0
#include "spool/segment_priv.h"

#include "spool/crc32c_priv.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

static const char segment_magic[8] = "CXSPOOL\x01";

static void put32(char *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static void put64(char *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static uint32_t get32(const char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

void segment_name(uint64_t first_seq, char name[SEGMENT_NAME_SIZE])
{
    snprintf(name, SEGMENT_NAME_SIZE, "%016llx.seg", (unsigned long long)first_seq);
}

bool segment_name_parse(const char *name, uint64_t *first_seq_r)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *first_seq_r = value;
    return strcmp(name + 16, ".seg") == 0 && value != 0 && value < SEQ_MAX;
}

void segment_header_encode(const struct segment_header *header, char out[SEGMENT_HEADER_SIZE])
{
    memset(out, 0, SEGMENT_HEADER_SIZE);
    memcpy(out, segment_magic, sizeof segment_magic);
    put32(out + 8, SEGMENT_VERSION);
    memcpy(out + 12, header->id.bytes, UUID_SIZE);
    put64(out + 28, header->first_seq);
    put64(out + 36, header->prev_end);
    put32(out + 60, crc32c(0, out, 60));
}

bool segment_header_decode(const char in[SEGMENT_HEADER_SIZE], struct segment_header *header_r)
{
    if (memcmp(in, segment_magic, sizeof segment_magic) != 0 || get32(in + 8) != SEGMENT_VERSION ||
        get32(in + 60) != crc32c(0, in, 60))
        return false;
    memcpy(header_r->id.bytes, in + 12, UUID_SIZE);
    header_r->first_seq = get64(in + 28);
    header_r->prev_end = get64(in + 36);
    return header_r->first_seq != 0 && header_r->first_seq < SEQ_MAX &&
           header_r->prev_end <= header_r->first_seq;
}

uint32_t record_seed(const struct uuid *id)
{
    return crc32c(0, id->bytes, UUID_SIZE);
}

bool record_valid(const struct spool_record *record)
{
    return record->stream_len >= 1 && record->stream_len <= SPOOL_STREAM_MAX &&
           record->len <= RECORD_PAYLOAD_MAX && record->kind >= SPOOL_TEXT &&
           record->kind <= SPOOL_TOO_LARGE;
}

void record_encode(const struct spool_record *record, uint64_t seq, uint32_t seed, char *out)
{
    char *data = out + RECORD_HEADER_SIZE;
    memcpy(data, record->stream, record->stream_len);
    if (record->len != 0)
        memcpy(data + record->stream_len, record->payload, record->len);
    memcpy(out, RECORD_MAGIC, RECORD_MAGIC_SIZE);
    put32(out + 8, crc32c(seed, data, record->stream_len + record->len));
    put32(out + 12, (uint32_t)record->len);
    put64(out + 16, seq);
    put64(out + 24, (uint64_t)record->received_us);
    out[32] = (char)record->kind;
    out[33] = (char)record->stream_len;
    out[34] = out[35] = 0;
    put32(out + 4, crc32c(seed, out + 8, RECORD_HEADER_SIZE - 8));
}

bool record_header_decode(const char *in, uint32_t seed, struct record_header *header_r)
{
    if (memcmp(in, RECORD_MAGIC, RECORD_MAGIC_SIZE) != 0 ||
        get32(in + 4) != crc32c(seed, in + 8, RECORD_HEADER_SIZE - 8))
        return false;
    header_r->data_crc = get32(in + 8);
    header_r->len = get32(in + 12);
    header_r->seq = get64(in + 16);
    header_r->received_us = (int64_t)get64(in + 24);
    unsigned kind = (unsigned char)in[32];
    header_r->kind = (enum spool_kind)kind;
    header_r->stream_len = (unsigned char)in[33];
    return kind >= SPOOL_TEXT && kind <= SPOOL_TOO_LARGE && header_r->stream_len >= 1 &&
           header_r->stream_len <= SPOOL_STREAM_MAX && header_r->len <= RECORD_PAYLOAD_MAX &&
           header_r->seq != 0 && header_r->seq < SEQ_MAX && in[34] == 0 && in[35] == 0;
}

bool record_decode(const char *in, const struct record_header *header, uint32_t seed,
                   struct spool_record *record_r)
{
    const char *data = in + RECORD_HEADER_SIZE;
    if (crc32c(seed, data, (size_t)header->stream_len + header->len) != header->data_crc)
        return false;
    *record_r = (struct spool_record){
        .seq = header->seq,
        .received_us = header->received_us,
        .kind = header->kind,
        .stream = data,
        .stream_len = header->stream_len,
        .payload = data + header->stream_len,
        .len = header->len,
    };
    return true;
}
