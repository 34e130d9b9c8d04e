// SPDX-License-Identifier: Apache-2.0
// The files that are validated, and their division into parts.
#include "cli/validate_priv.h"
#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Large enough that starting one costs nothing, small enough that all processes have work.
#define PART_SIZE ((uint64_t)4 << 20)

static bool is_stdin(const struct validate_input *input)
{
    return strcmp(input->path, "-") == 0;
}

// What cannot be looked at is told when its turn comes to be read.
static void look_at(struct validate_input *input)
{
    struct stat info;
    off_t start = 0;

    input->n_parts = 1;
    if ((is_stdin(input) ? fstat(STDIN_FILENO, &info) : stat(input->path, &info)) != 0 ||
        !S_ISREG(info.st_mode))
        return;
    if (is_stdin(input) && (start = lseek(STDIN_FILENO, 0, SEEK_CUR)) < 0)
        return;
    input->regular = true;
    input->start = (uint64_t)start;
    input->size = info.st_size > start ? (uint64_t)info.st_size : (uint64_t)start;
    uint64_t parts = (input->size - input->start + PART_SIZE - 1) / PART_SIZE;
    input->n_parts = parts > 0 ? parts : 1;
}

void validate_inputs_init(struct validate_inputs *inputs, size_t n, char **paths)
{
    *inputs = (struct validate_inputs){.n = n > 0 ? n : 1};
    inputs->list = mem_realloc_array(NULL, inputs->n, sizeof(*inputs->list));
    for (size_t i = 0; i < inputs->n; i++) {
        struct validate_input *input = &inputs->list[i];
        *input = (struct validate_input){.path = n > 0 ? paths[i] : "-"};
        look_at(input);
        if (!input->regular)
            continue;
        inputs->bytes += input->size - input->start;
        inputs->n_parts += input->n_parts;
    }
}

void validate_inputs_deinit(struct validate_inputs *inputs)
{
    free(inputs->list);
    *inputs = (struct validate_inputs){0};
}

uint64_t validate_part_end(const struct validate_input *input, uint64_t number)
{
    return number + 1 < input->n_parts ? input->start + (number + 1) * PART_SIZE : input->size;
}

int validate_part_open(const struct validate_input *input, uint64_t number,
                       struct validate_part *part_r)
{
    *part_r = (struct validate_part){.seekable = input->regular,
                                     .continued = number > 0,
                                     .start = input->start + number * PART_SIZE,
                                     .end = UINT64_MAX};
    if (number + 1 < input->n_parts) // the last one takes what has grown since, too
        part_r->end = validate_part_end(input, number);
    part_r->fd = is_stdin(input) ? STDIN_FILENO : open(input->path, O_RDONLY | O_CLOEXEC);
    return part_r->fd >= 0 ? 0 : -1;
}

void validate_part_close(const struct validate_input *input, struct validate_part *part)
{
    if (!is_stdin(input))
        close(part->fd);
    part->fd = -1;
}
