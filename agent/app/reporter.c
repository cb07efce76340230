#include "app/reporter.h"

void reporter_init(struct reporter *r, const char *interface, reporter_lines_fn *lines,
                   void *context)
{
    *r = (struct reporter){.interface = interface, .lines = lines, .context = context};
}

void reporter_deinit(struct reporter *r)
{
    text_deinit(&r->text);
}

static void on_message(void *context, const struct message_seen *m)
{
    struct reporter *r = context;
    text_clear(&r->text);
    console_event(&r->text, m);
    r->lines(r->context, &r->text);
}

static void on_transaction(void *context, const struct transaction_seen *t)
{
    struct reporter *r = context;
    text_clear(&r->text);
    console_transaction(&r->text, t, r->interface);
    r->lines(r->context, &r->text);
}

struct observer reporter_observer(struct reporter *r, enum console_form form)
{
    return (struct observer){
        .context = r,
        .message = form == CONSOLE_EVENTS ? on_message : NULL,
        .transaction = form == CONSOLE_TRANSACTIONS ? on_transaction : NULL,
    };
}
