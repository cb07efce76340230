/*
 * Walks over the tokens of libconfig's grammar. Only where strings, comments,
 * names and numbers begin and end matters here.
 */
#include "app/settings_text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Of libconfig, which reports what is deeper. */
enum { INCLUDES_MAX = 10 };

struct scan {
    const char *name;      /* of the file, as errors show it */
    const char *directory; /* that includes are relative to */
    const char *at;        /* what is left of it, NUL-terminated */
    unsigned line;
    unsigned depth; /* of includes */
    struct text *error;
};

/* Check the file @path, which errors call @name. @parent includes it. */
static int check_file(const struct scan *parent, const char *name, const char *path);

static int fail(struct scan *s, const char *what, struct bytes quoted)
{
    text_printf(s->error, "%s:%u: %s: ", s->name, s->line, what);
    text_add_printable(s->error, quoted);
    return -EINVAL;
}

static bool starts(const struct scan *s, const char *text)
{
    return strncmp(s->at, text, strlen(text)) == 0;
}

/* Go on by @size bytes, counting lines. */
static struct bytes advance(struct scan *s, size_t size)
{
    struct bytes passed = bytes_make(s->at, size);
    for (const char *end = s->at + size; s->at < end; s->at++)
        s->line += *s->at == '\n';
    return passed;
}

static void skip_line(struct scan *s)
{
    advance(s, strcspn(s->at, "\n"));
}

static void skip_comment(struct scan *s)
{
    const char *end = strstr(s->at + 2, "*/");
    advance(s, end ? (size_t)(end + 2 - s->at) : strlen(s->at));
}

static void skip_name(struct scan *s)
{
    while (isalnum((unsigned char)*s->at) || (*s->at && strchr("-_*", *s->at)))
        s->at++;
}

/* @inner is what stands between the quotes. */
static int check_string(struct scan *s, struct bytes *inner)
{
    const char *start = s->at + 1;
    advance(s, 1);
    while (*s->at && *s->at != '"') {
        if (starts(s, "\\x00"))
            return fail(s, "NUL in a string", BYTES("\0"));
        advance(s, s->at[0] == '\\' && s->at[1] ? 2 : 1);
    }
    *inner = bytes_make(start, (size_t)(s->at - start));
    advance(s, *s->at ? 1 : 0);
    return 0;
}

static int check_number(struct scan *s)
{
    char *end;
    bool hex = starts(s, "0x") || starts(s, "0X");
    /* ULLONG_MAX for what is larger still. */
    unsigned long long number = strtoull(s->at, &end, hex ? 16 : 10);
    if (*end && strchr(".eE", *end)) { /* a float */
        advance(s, strspn(s->at, "0123456789.eE+-"));
        return 0;
    }

    unsigned long long max = *end == 'L' ? INT64_MAX : INT_MAX;
    struct bytes token = bytes_make(s->at, (size_t)(end - s->at));
    if (number > max)
        return fail(s, "number is too large", token);
    advance(s, token.size);
    return 0;
}

static int check_include(struct scan *s)
{
    struct bytes path;
    advance(s, strlen("@include"));
    advance(s, strspn(s->at, " \t"));
    if (*s->at != '"')
        return 0;
    int r = check_string(s, &path);
    if (r < 0)
        return r;
    if (path.size == 0 || path.data[0] == '/' || memchr(path.data, '\\', path.size))
        return fail(s, "@include needs a path relative to the main file, without backslash", path);
    if (s->depth == INCLUDES_MAX)
        return 0;

    char name[PATH_MAX], joined[2 * PATH_MAX];
    snprintf(name, sizeof(name), "%.*s", (int)path.size, (const char *)path.data);
    snprintf(joined, sizeof(joined), "%s/%s", s->directory, name);
    return check_file(s, name, joined);
}

static int check_token(struct scan *s)
{
    struct bytes string;
    unsigned char c = (unsigned char)*s->at;
    if (c == '"')
        return check_string(s, &string);
    if (starts(s, "@include"))
        return check_include(s);
    if (isdigit(c))
        return check_number(s);
    if (c == '#' || starts(s, "//"))
        skip_line(s);
    else if (starts(s, "/*"))
        skip_comment(s);
    else if (isalpha(c) || c == '*')
        skip_name(s);
    else
        advance(s, 1);
    return 0;
}

static int check_text(struct scan *s, const struct text *content)
{
    s->at = content->data;
    s->line = 1;
    int r = 0;
    while (r == 0 && *s->at)
        r = check_token(s);
    if (r == 0 && s->at < content->data + content->size)
        return fail(s, "NUL in the file", BYTES("\0"));
    return r;
}

/* Read the regular file @path; -EINVAL: it is another kind. */
static int read_all(struct text *content, const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;

    char buffer[4096];
    size_t size;
    while ((size = fread(buffer, 1, sizeof(buffer), file)) > 0)
        text_add(content, bytes_make(buffer, size));
    int r = ferror(file) ? -EIO : text_failed(content) ? -ENOMEM : 0;
    fclose(file);
    return r;
}

static int fail_read(const struct scan *s, const char *name, int error)
{
    if (s->depth > 0)
        text_printf(s->error, "%s:%u: ", s->name, s->line);
    text_add_string(s->error, "cannot read \"");
    text_add_printable(s->error, bytes_from_string(name));
    text_printf(s->error, "\": %s", error == -EINVAL ? "not a regular file" : strerror(-error));
    return error;
}

static int check_file(const struct scan *parent, const char *name, const char *path)
{
    struct scan s = *parent;
    AUTO(text_deinit) struct text content = {0};
    int r = read_all(&content, path);
    if (r < 0)
        return fail_read(&s, name, r);
    s.name = name;
    s.depth++;
    return content.data ? check_text(&s, &content) : 0;
}

int settings_text_check(const char *path, const char *directory, struct text *error)
{
    return check_file(&(struct scan){.directory = directory, .error = error}, path, path);
}
