/*
 * What watches, in their workers' threads, tell the main thread.
 *
 * Each has a slot here, made beforehand, so that telling can't fail. It answers
 * each question once, with a report, until it ends with a last one.
 *
 * Owns     the reports that were not taken yet; its handle lives in the loop it
 *          was given
 * Threads  inbox_answer, inbox_fail and inbox_end: any; the rest: the loop's
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/macros.h"
#include "core/report.h"

struct inbox;

/* What was told since it was taken last. */
struct inbox_news {
    void *owner;           /* of the slot */
    bool answered;         /* the question, with @report, or NULL: there was no memory */
    struct report *report; /* the taker's, as is @last */
    int error;             /* nothing comes from it any more, because of this -errno */
    bool ended;            /* it is no more, and its slot not used any more */
    struct report *last;   /* or NULL: there was no memory */
};

/* All but the first two is the inbox's. */
struct inbox_slot {
    struct inbox *inbox;
    void *owner;
    struct inbox_news news;
    bool queued;
    struct inbox_slot *prev;
    struct inbox_slot *next;
};

/* Called in the loop's thread when there may be something new. */
typedef void inbox_news_fn(void *context);

int inbox_new(struct inbox **out, uv_loop_t *loop, inbox_news_fn *news, void *context);

/* Close the handle; the memory goes with it when the loop has run. NULL is fine. */
struct inbox *inbox_close(struct inbox *i);
AUTO_DEFINE(struct inbox, inbox_close)

/* A slot for @owner. Its memory is the caller's, and stays where it is. */
void inbox_slot_init(struct inbox_slot *s, struct inbox *i, void *owner);

/* Drop what was not taken. */
void inbox_slot_deinit(struct inbox_slot *s);

/* Answer the question with @report, which may be NULL. Takes it over. */
void inbox_answer(struct inbox_slot *s, struct report *report);

/* Say that nothing comes any more, because of @error. inbox_end() is still to come. */
void inbox_fail(struct inbox_slot *s, int error);

/* Say that it has ended, with its last report, which may be NULL. Takes that over. */
void inbox_end(struct inbox_slot *s, struct report *last);

/* Take news of any slot, the oldest first. Returns whether there was some. */
bool inbox_take(struct inbox *i, struct inbox_news *news);
