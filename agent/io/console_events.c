#include "io/console.h"

static const struct {
    const char *kind;
    const char *way;
} words[] = {
    [DIRECTION_IN] = {"request", "inbound to"},
    [DIRECTION_OUT] = {"reply", "outbound from"},
};

void console_event(struct text *t, const struct message_seen *m)
{
    text_printf(t, "%s: ", words[m->direction].kind);
    if (m->start_line.size)
        text_add_printable(t, m->start_line);
    else
        text_add_string(t, "(head not seen)");
    text_printf(t, "\n+%llu bytes %s service '%s' = %llu\n", (unsigned long long)m->ip_bytes,
                words[m->direction].way, m->service->text, (unsigned long long)m->service_bytes);
}
