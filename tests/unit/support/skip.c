#include "support/skip.h"

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_SKIPPED = 77 };

noreturn void test_skip(const char *format, ...)
{
    const char *ci = getenv("CI");
    bool must_run = ci && strcmp(ci, "true") == 0;
    va_list arguments;
    va_start(arguments, format);
    fputs(must_run ? "FAILED, can't run: " : "SKIPPED: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(must_run ? EXIT_FAILURE : EXIT_SKIPPED);
}

const char *test_shared_path(const char *name)
{
    static char path[PATH_MAX];
    const char *folder = getenv("HTTPACCT_SHARED");
    snprintf(path, sizeof(path), "%s/%s", folder ? folder : HTTPACCT_SOURCE_DIR "/../shared", name);
    return path;
}
