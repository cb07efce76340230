/*
 * A list of what is allowed. All else fails as if the kernel had not got it: then
 * libraries take another way, where they know one, as they do on older kernels.
 */
#include "io/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/macros.h"

AUTO_DEFINE(void, seccomp_release)

/* By name: libraries and architectures differ in what they know. NULL ends a list. */
static const char *const TO_USE_WHAT_IS_OPEN[] = {
    /* memory */
    "brk", "madvise", "membarrier", "mmap", "mmap2", "mprotect", "mremap", "munmap",
    /* the thread */
    "exit", "exit_group", "futex", "futex_time64", "getpid", "gettid", "restart_syscall", "rseq",
    "sched_yield",
    /* signals */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "sigreturn",
    /* time */
    "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
    "clock_nanosleep_time64", "gettimeofday", "nanosleep", "time",
    /* descriptors */
    "_llseek", "close", "fstat", "fstat64", "lseek", "newfstatat", "poll", "ppoll", "ppoll_time64",
    "pread64", "read", "readv", "write", "writev",
    /* the process */
    "getrandom", NULL};

static const char *const TO_OPEN_MORE[] = {
    /* threads */
    "getcpu", "getppid", "sched_getaffinity", "set_robust_list",
    /* waiting */
    "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2", "pipe2",
    "select", "pselect6", "pselect6_time64", "timerfd_create", "timerfd_settime",
    /* files */
    "access", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fdatasync", "flock",
    "fstatat64", "fstatfs", "fsync", "ftruncate", "ftruncate64", "getcwd", "getdents64", "lstat",
    "memfd_create", "open", "openat", "pwrite64", "readlink", "readlinkat", "rename", "renameat",
    "renameat2", "stat", "stat64", "statfs", "statx", "umask", "unlink", "unlinkat",
    /* sockets, once they are open */
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg",
    "sendto", "setsockopt", "shutdown",
    /* the process */
    "bpf", "capget", "capset", "getegid", "geteuid", "getgid", "getgroups", "getresgid",
    "getresuid", "getrlimit", "getrusage", "getuid", "setrlimit", "sysinfo", "ugetrlimit", "uname",
    NULL};

/* The second argument of ioctl(2): what a terminal is, and an interface. */
static const unsigned REQUESTS[] = {
    FIOCLEX,     FIONBIO,      FIONREAD,     TCGETS,        TIOCGWINSZ,
    SIOCGIFCONF, SIOCGIFFLAGS, SIOCGIFINDEX, SIOCGIFHWADDR, SIOCGIFNAME,
};

/* The second argument of fcntl(2). Not F_SETOWN and F_SETSIG: they signal other processes. */
static const unsigned COMMANDS[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,
                                    F_GETFL, F_SETFL,         F_ADD_SEALS, F_GET_SEALS};

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* names of memory, which some versions of libc give */
#endif

/* The first argument of prctl(2). */
static const unsigned CONTROLS[] = {PR_CAPBSET_READ, PR_CAP_AMBIENT, PR_GET_NAME,
                                    PR_GET_SECCOMP,  PR_SET_NAME,    PR_SET_VMA};

/* The argument of clone(2) that has the flags. */
#ifdef __s390__
enum { CLONE_FLAGS = 1 };
#else
enum { CLONE_FLAGS = 0 };
#endif

/* Who is in a user namespace of its own has all rights there. */
static const uint64_t NAMESPACES = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID |
                                   CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

static const int SOCKET_TYPE_MASK = 0xf; /* without SOCK_CLOEXEC and SOCK_NONBLOCK */

/* Returns 0 too for what is not there to be allowed. */
static int allow_call(scmp_filter_ctx filter, const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return 0;
    int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    return error == -EDOM ? 0 : error;
}

static int allow_calls(scmp_filter_ctx filter, const char *const *names)
{
    int error = 0;
    for (; error == 0 && *names; names++)
        error = allow_call(filter, *names);
    return error;
}

/* Argument @number of @call may be one of @values. */
static int allow_values(scmp_filter_ctx filter, int call, unsigned number, const unsigned *values,
                        size_t count)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                                 SCMP_CMP32(number, SCMP_CMP_EQ, values[i]));
    return error;
}

/* Other processes of the same user, who may be root, are not to be signalled, nor limited. */
static int allow_signals(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)getpid()));
}

static int allow_limits(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                            SCMP_A0_32(SCMP_CMP_EQ, 0));
}

static int allow_commands(scmp_filter_ctx filter)
{
    int error = allow_values(filter, SCMP_SYS(fcntl), 1, COMMANDS, ARRAY_SIZE(COMMANDS));
    if (error == 0)
        error = allow_values(filter, SCMP_SYS(fcntl64), 1, COMMANDS, ARRAY_SIZE(COMMANDS));
    return error == -EDOM ? 0 : error;
}

/* clone3(2) has its flags in memory, where a filter can't look: libc goes back to clone(2). */
static int allow_threads(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_CMP64(CLONE_FLAGS, SCMP_CMP_MASKED_EQ, NAMESPACES, 0));
}

static int allow_family(scmp_filter_ctx filter, int family)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                            SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)family));
}

/* News of interfaces, and nothing else that netlink is for. */
static int allow_netlink(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                            SCMP_A0_32(SCMP_CMP_EQ, AF_NETLINK),
                            SCMP_A2_32(SCMP_CMP_EQ, NETLINK_ROUTE));
}

static int allow_internet(scmp_filter_ctx filter, int type)
{
    static const uint32_t families[] = {AF_INET, AF_INET6};
    int error = 0;
    for (size_t i = 0; error == 0 && i < ARRAY_SIZE(families); i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                                 SCMP_A0_32(SCMP_CMP_EQ, families[i]),
                                 SCMP_A1_32(SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK, (uint32_t)type));
    return error;
}

/* What is needed whatever the config says. */
static int allow_sockets(scmp_filter_ctx filter)
{
    int error = allow_family(filter, AF_PACKET);
    if (error == 0)
        error = allow_family(filter, AF_UNIX);
    if (error == 0)
        error = allow_netlink(filter);
    return error == 0 ? allow_internet(filter, SOCK_DGRAM) : error;
}

static int allow_what_is_open(scmp_filter_ctx filter)
{
    int error = allow_calls(filter, TO_USE_WHAT_IS_OPEN);
    if (error == 0)
        error = allow_signals(filter);
    if (error == 0)
        error = allow_values(filter, SCMP_SYS(ioctl), 1, REQUESTS, ARRAY_SIZE(REQUESTS));
    return error;
}

static int allow_more(scmp_filter_ctx filter, bool tcp)
{
    int error = allow_calls(filter, TO_OPEN_MORE);
    if (error == 0)
        error = allow_threads(filter);
    if (error == 0)
        error = allow_limits(filter);
    if (error == 0)
        error = allow_commands(filter);
    if (error == 0)
        error = allow_values(filter, SCMP_SYS(prctl), 0, CONTROLS, ARRAY_SIZE(CONTROLS));
    if (error == 0)
        error = allow_sockets(filter);
    return error == 0 && tcp ? allow_internet(filter, SOCK_STREAM) : error;
}

static void load(scmp_filter_ctx filter)
{
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1); /* Linux 4.14 */
    if (seccomp_load(filter) < 0)
        log_warning("system calls: not limited, this kernel has no seccomp filters");
}

int sandbox_limit_calls(bool tcp)
{
    AUTO(seccomp_release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (!filter)
        return -ENOMEM;
    int error = allow_what_is_open(filter);
    if (error == 0)
        error = allow_more(filter, tcp);
    if (error == 0)
        load(filter);
    return error;
}

int sandbox_limit_calls_to_open(void)
{
    AUTO(seccomp_release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (!filter)
        return -ENOMEM;
    int error = allow_what_is_open(filter);
    if (error == 0)
        load(filter);
    return error;
}
