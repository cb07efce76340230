#include "base/log_limit.h"

#include <stdio.h>

#include "base/macros.h"

static bool is_over(const struct log_site *s, uint64_t now_ns)
{
    return s->lines == 0 || now_ns - s->since_ns >= LOG_LIMIT_NS;
}

static struct log_site *find_site(struct log_limit *l, const char *format, uint64_t now_ns)
{
    struct log_site *vacant = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(l->sites); i++) {
        struct log_site *s = &l->sites[i];
        if (s->format == format)
            return s;
        if (!vacant && is_over(s, now_ns) && s->suppressed == 0)
            vacant = s;
    }
    if (!vacant)
        return &l->sites[ARRAY_SIZE(l->sites) - 1];
    vacant->format = format;
    return vacant;
}

bool log_limit_pass(struct log_limit *l, const struct log_line *line, uint64_t now_ns)
{
    struct log_site *s = find_site(l, line->format, now_ns);
    if (is_over(s, now_ns)) {
        s->since_ns = now_ns;
        s->lines = 0;
    }
    if (s->lines < LOG_LIMIT_LINES) {
        s->lines++;
        return true;
    }
    s->suppressed++;
    s->level = line->level;
    snprintf(s->last, sizeof(s->last), "%s", line->text);
    return false;
}

const struct log_site *log_limit_next(struct log_limit *l, uint64_t now_ns,
                                      unsigned long *suppressed)
{
    for (size_t i = 0; i < ARRAY_SIZE(l->sites); i++) {
        struct log_site *s = &l->sites[i];
        if (s->suppressed && is_over(s, now_ns)) {
            *suppressed = s->suppressed;
            s->suppressed = 0;
            return s;
        }
    }
    return NULL;
}
