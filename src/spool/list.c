// SPDX-License-Identifier: Apache-2.0
// The spool's list of segments.
#include "spool/spool_priv.h"

#include "core/mem.h"

#include <fcntl.h>
#include <string.h>

struct spool_segment *segments_add(struct spool *spool, const struct spool_segment *segment)
{
    if (spool->n_segments == spool->cap_segments) {
        spool->cap_segments = spool->cap_segments == 0 ? 16 : spool->cap_segments * 2;
        spool->segments =
            mem_realloc_array(spool->segments, spool->cap_segments, sizeof *spool->segments);
    }
    spool->segments[spool->n_segments] = *segment;
    spool->file_bytes += segment->size;
    return &spool->segments[spool->n_segments++];
}

void segments_remove_first(struct spool *spool)
{
    if (spool->finder.name == spool->segments[0].name)
        finder_reset(spool);
    spool->file_bytes -= spool->segments[0].size;
    spool->n_segments--;
    memmove(spool->segments, spool->segments + 1, spool->n_segments * sizeof *spool->segments);
    if (spool->reader.segment == 0)
        reader_restart(spool, 0);
    else
        spool->reader.segment--;
}

void segment_resize(struct spool *spool, struct spool_segment *segment, uint64_t size)
{
    spool->file_bytes = spool->file_bytes - segment->size + size;
    segment->size = size;
}

int segment_open(const struct spool *spool, const struct spool_segment *segment)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(segment->name, name);
    return spool->io->openat(spool->dir_fd, name, O_RDONLY, 0);
}
