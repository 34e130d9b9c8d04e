// SPDX-License-Identifier: Apache-2.0
// config_load over any bytes: a configuration, or faults with a place and a sentence each.
#include "fuzz.h"

#include "config/equal.h"
#include "config/load.h"

#include <sys/mman.h>
#include <unistd.h>

static void check_faults(const char *path, struct config_faults *faults, const char *text,
                         size_t size)
{
    unsigned lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    config_faults_locate(path, faults);
    for (size_t i = 0; i < faults->count; i++) {
        const struct config_fault *fault = &faults->items[i];
        FUZZ_CHECK(fault->message[0] != '\0', "fault %zu", i);
        FUZZ_CHECK(fault->line <= lines, "line %u: %s", fault->line, fault->message);
        FUZZ_CHECK(i == 0 || faults->items[i - 1].line <= fault->line, "fault %zu", i);
    }
}

static void check_config(const char *path, const struct config *config)
{
    struct config_faults faults;
    struct buf names = {0};
    struct config *again = config_load(path, &faults);
    FUZZ_CHECK(again != NULL && again->n_auth == config->n_auth &&
                   again->n_streams == config->n_streams,
               "again");
    for (size_t i = 0; i < config->n_auth; i++)
        FUZZ_CHECK(config_auth_equal(&config->auth[i], &again->auth[i]), "auth %zu", i);
    for (size_t i = 0; i < config->n_streams; i++)
        FUZZ_CHECK(config_stream_equal(&config->streams[i], &again->streams[i]) &&
                       config->streams[i].table < config->n_tables,
                   "stream %zu", i);
    config_restart_needed(config, again, &names);
    FUZZ_CHECK(names.len == 0, "%s", buf_text(&names));
    buf_deinit(&names);
    config_free(&again);
    config_faults_free(&faults);
}

int fuzz_one(const uint8_t *data, size_t size)
{
    struct config_faults faults;
    char path[64];
    int fd = memfd_create("cxsink.json", MFD_CLOEXEC);

    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size, "memfd");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct config *config = config_load(path, &faults);
    FUZZ_CHECK((config == NULL) == (faults.count > 0), "%zu faults", faults.count);
    if (config == NULL)
        check_faults(path, &faults, (const char *)data, size);
    else
        check_config(path, config);
    config_free(&config);
    config_faults_free(&faults);
    close(fd);
    return 0;
}
