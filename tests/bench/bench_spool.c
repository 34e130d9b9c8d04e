// SPDX-License-Identifier: Apache-2.0
// What the spool costs an event: append, commit with and without sync, read. Usage:
// bench_spool [DIR [EVENTS [BYTES]]]; the directory (default: a new one in the current directory)
// decides which file system is measured.
#include "core/clock.h"
#include "core/mem.h"
#include "spool/spool.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

struct lap {
    double wall, cpu;
};

static struct lap lap_begin(void)
{
    return (struct lap){(double)mono_read().us, cpu_us()};
}

static void lap_add(struct lap *sum, struct lap begin)
{
    sum->wall += (double)mono_read().us - begin.wall;
    sum->cpu += cpu_us() - begin.cpu;
}

static void print_lap(const char *what, struct lap lap, unsigned events)
{
    printf("  %-22s %8.3f us/event wall %8.3f us/event CPU\n", what, lap.wall / events,
           lap.cpu / events);
}

static void check(enum status_code code, const struct status *st)
{
    if (code == STATUS_OK)
        return;
    fprintf(stderr, "bench_spool: %s\n", st->detail);
    exit(1);
}

struct run {
    const char *name;
    enum spool_sync sync;
    unsigned batch; // events a commit
};

struct load {
    const char *dir;
    unsigned events;
    size_t bytes;
    char *payload;
};

static void write_all(struct spool *spool, const struct load *load, const struct run *run)
{
    struct lap append = {0}, commit = {0};
    struct status st = {0};
    struct spool_record record = {.received_us = 1700000000000000,
                                  .kind = SPOOL_TEXT,
                                  .stream = "interactions",
                                  .stream_len = 12,
                                  .payload = load->payload,
                                  .len = load->bytes};
    for (unsigned done = 0; done < load->events; done += run->batch) {
        struct lap begin = lap_begin();
        for (unsigned i = 0; i < run->batch; i++)
            if (spool_append(spool, &record) != SPOOL_APPENDED)
                exit(1);
        lap_add(&append, begin);
        begin = lap_begin();
        check(spool_commit(spool, mono_read().us, &st), &st);
        lap_add(&commit, begin);
    }
    print_lap("append", append, load->events);
    print_lap("commit", commit, load->events);
}

static void read_all(struct spool *spool, const struct load *load, const struct run *run)
{
    struct spool_record record;
    struct status st;
    unsigned read = 0;
    struct lap sum = {0}, begin = lap_begin();
    while (spool_read(spool, &record, &st) == SPOOL_READ)
        if (++read % run->batch == 0)
            spool_ack(spool, record.seq);
    lap_add(&sum, begin);
    print_lap("read and acknowledge", sum, load->events);
    if (read != load->events)
        exit(1);
}

static void measure(const struct load *load, const struct run *run)
{
    struct status st = {0};
    struct spool *spool;
    struct spool_settings settings = {
        .dir = load->dir, .max_bytes = UINT64_C(4) << 30, .segment_bytes = 64 << 20};
    settings.sync = run->sync;
    printf("%s, %u events of %zu bytes, %u a commit\n", run->name, load->events, load->bytes,
           run->batch);
    check(spool_open(&settings, &spool, &st), &st);
    write_all(spool, load, run);
    spool_close(&spool);
    struct lap open = {0}, begin = lap_begin();
    check(spool_open(&settings, &spool, &st), &st);
    lap_add(&open, begin);
    printf("  %-22s %8.3f ms wall\n", "open with the backlog", open.wall / 1000);
    read_all(spool, load, run);
    spool_close(&spool);
}

static void remove_dir(const char *dir)
{
    DIR *list = opendir(dir);
    struct dirent *entry;
    while (list != NULL && (entry = readdir(list)) != NULL)
        unlinkat(dirfd(list), entry->d_name, 0);
    if (list != NULL)
        closedir(list);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    char made[] = "bench_spool.XXXXXX";
    struct load load = {.events = 1000000, .bytes = 216};
    static const struct run runs[] = {{"no sync", SPOOL_SYNC_OFF, 1000},
                                      {"sync always", SPOOL_SYNC_ALWAYS, 1000},
                                      {"sync always", SPOOL_SYNC_ALWAYS, 5000}};
    load.dir = argc > 1 ? argv[1] : mkdtemp(made);
    if (argc > 2)
        load.events = (unsigned)strtoul(argv[2], NULL, 10);
    if (argc > 3)
        load.bytes = strtoul(argv[3], NULL, 10);
    if (load.dir == NULL)
        return 1;
    load.payload = mem_alloc(load.bytes + 1);
    memset(load.payload, 'x', load.bytes);
    load.events = (load.events + 4999) / 5000 * 5000;
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
        measure(&load, &runs[i]);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("greatest resident size %ld KiB\n", usage.ru_maxrss);
    if (argc <= 1)
        remove_dir(load.dir);
    free(load.payload);
    return 0;
}
