// SPDX-License-Identifier: Apache-2.0
// Takes from the process what checking a text does not need.
#include "jscheck.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

// The parent ends it after three; this is for a parent that is gone or busy.
#define CPU_SECONDS 5

static bool fail(const char *what, int error)
{
    fprintf(stderr, "cxsink-jscheck: cannot confine itself: %s: %s\n", what, strerror(error));
    return false;
}

static bool limit(__rlimit_resource_t resource, rlim_t value)
{
    struct rlimit both = {value, value};
    return setrlimit(resource, &both) == 0;
}

bool confine_process(void)
{
    if (close_range(STDERR_FILENO + 1, ~0U, 0) != 0)
        return fail("close_range", errno);
    // No code is generated at run time, so that no memory need be executable; no thread of the
    // engine's collector, as none could be started later.
    if (clearenv() != 0 || setenv("JSC_useJIT", "0", 1) != 0 ||
        setenv("JSC_useConcurrentGC", "0", 1) != 0)
        return fail("environment", errno);
    if (chdir("/") != 0)
        return fail("chdir", errno);
    // Where the system lets anybody: no network interface, no rights of whoever started it. The
    // filter of system calls stands without it.
    int ignored = unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC);
    (void)ignored;
    signal(SIGXFSZ, SIG_IGN); // a verdict into a file fails instead
    if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_FSIZE, 0) || !limit(RLIMIT_CPU, CPU_SECONDS))
        return fail("setrlimit", errno);
    // After unshare(), which takes both back. Where /proc hides what one may not trace
    // (ProtectProc=), the parent sees the size of a dumpable process alone.
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return fail("prctl", errno);
    return true;
}

// Memory, locks between the engine's threads, time, and the ends of a process.
static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(fstat),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
    SCMP_SYS(membarrier),
    SCMP_SYS(rseq),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

static int add_rules(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
        if (result != 0)
            return result;
    }
    // Never executable.
    static const int mappings[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    for (size_t i = 0; i < sizeof(mappings) / sizeof(mappings[0]); i++) {
        int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, mappings[i], 1,
                                      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        if (result != 0)
            return result;
    }
    // Signals to its own threads, which the engine stops for its collector, and to abort(3).
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
}

bool confine_system_calls(void)
{
    // Everything else fails with EPERM, which libraries know how to take.
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL)
        return fail("seccomp_init", ENOMEM);
    // Threads that are there already must have the filter, too.
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0)
        result = add_rules(filter);
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    return result == 0 || fail("seccomp", -result);
}
