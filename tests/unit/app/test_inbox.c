#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "app/inbox.h"

enum { SLOTS = 3, QUESTIONS = 2000 };

struct fixture {
    uv_loop_t loop;
    struct inbox *inbox;
    struct inbox_slot slots[SLOTS];
    unsigned news;
};

static void on_news(void *context)
{
    struct fixture *f = context;
    f->news++;
}

static void fixture_init(struct fixture *f, inbox_news_fn *news)
{
    *f = (struct fixture){0};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(inbox_new(&f->inbox, &f->loop, news, f), 0);
    for (unsigned i = 0; i < SLOTS; i++)
        inbox_slot_init(&f->slots[i], f->inbox, &f->slots[i]);
}

static void close_inbox(struct fixture *f)
{
    for (unsigned i = 0; i < SLOTS; i++)
        inbox_slot_deinit(&f->slots[i]);
    f->inbox = inbox_close(f->inbox);
}

static void fixture_deinit(struct fixture *f)
{
    close_inbox(f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static struct report *report_at(uint64_t time_ns)
{
    struct report *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    r->time_ns = time_ns;
    return r;
}

static void an_answer_is_taken_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, on_news);
    struct inbox_news n;
    assert_false(inbox_take(f.inbox, &n));

    struct report *given = report_at(7);
    inbox_answer(&f.slots[1], given);
    uv_run(&f.loop, UV_RUN_ONCE);
    assert_int_equal(f.news, 1);
    assert_true(inbox_take(f.inbox, &n));
    assert_ptr_equal(n.owner, &f.slots[1]);
    assert_true(n.answered);
    assert_ptr_equal(n.report, given);
    assert_int_equal(n.error, 0);
    assert_false(n.ended);
    report_free(n.report);
    assert_false(inbox_take(f.inbox, &n));
    fixture_deinit(&f);
}

static void an_answer_may_be_empty(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, on_news);
    inbox_answer(&f.slots[2], NULL);
    struct inbox_news n;
    assert_true(inbox_take(f.inbox, &n));
    assert_true(n.answered);
    assert_null(n.report);
    fixture_deinit(&f);
}

static void what_was_told_since_comes_at_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, on_news);
    inbox_answer(&f.slots[0], report_at(1));
    inbox_fail(&f.slots[0], -EIO);
    inbox_end(&f.slots[0], report_at(2));
    struct inbox_news n;
    assert_true(inbox_take(f.inbox, &n));
    assert_int_equal(n.report->time_ns, 1);
    assert_int_equal(n.error, -EIO);
    assert_true(n.ended);
    assert_int_equal(n.last->time_ns, 2);
    report_free(n.report);
    report_free(n.last);
    assert_false(inbox_take(f.inbox, &n));
    fixture_deinit(&f);
}

static void the_oldest_news_come_first(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, on_news);
    inbox_answer(&f.slots[2], NULL);
    inbox_answer(&f.slots[0], NULL);
    inbox_fail(&f.slots[2], -EIO);
    struct inbox_news n;
    assert_true(inbox_take(f.inbox, &n));
    assert_ptr_equal(n.owner, &f.slots[2]);
    assert_true(inbox_take(f.inbox, &n));
    assert_ptr_equal(n.owner, &f.slots[0]);
    assert_false(inbox_take(f.inbox, &n));
    fixture_deinit(&f);
}

/* The leak checker says if it was not. */
static void reports_that_nobody_took_are_freed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, on_news);
    inbox_answer(&f.slots[0], report_at(1));
    inbox_end(&f.slots[0], report_at(2));
    fixture_deinit(&f);
}

/* --- a thread for each slot, which answers each question --------------------------- */

struct answerer {
    uv_thread_t thread;
    struct inbox_slot *slot;
    uv_sem_t asked;
};

static void answer_questions(void *argument)
{
    struct answerer *a = argument;
    for (unsigned n = 1; n <= QUESTIONS; n++) {
        uv_sem_wait(&a->asked);
        inbox_answer(a->slot, report_at(n));
    }
}

struct asker {
    struct fixture fixture;
    struct answerer answerers[SLOTS];
    uint64_t question;
    unsigned unanswered;
};

static void ask(struct asker *a)
{
    a->question++;
    a->unanswered = SLOTS;
    for (unsigned n = 0; n < SLOTS; n++)
        uv_sem_post(&a->answerers[n].asked);
}

static void on_answers(void *context)
{
    struct asker *a = CONTAINER_OF((struct fixture *)context, struct asker, fixture);
    struct inbox_news n;
    while (inbox_take(a->fixture.inbox, &n)) {
        assert_true(n.answered);
        assert_int_equal(n.report->time_ns, a->question);
        report_free(n.report);
        a->unanswered--;
    }
    if (a->unanswered > 0)
        return;
    if (a->question < QUESTIONS)
        ask(a);
    else
        uv_stop(&a->fixture.loop);
}

static void each_question_gets_an_answer_from_each_thread(void **state)
{
    (void)state;
    struct asker a = {0};
    fixture_init(&a.fixture, on_answers);
    for (unsigned n = 0; n < SLOTS; n++) {
        struct answerer *w = &a.answerers[n];
        w->slot = &a.fixture.slots[n];
        assert_int_equal(uv_sem_init(&w->asked, 0), 0);
        assert_int_equal(uv_thread_create(&w->thread, answer_questions, w), 0);
    }
    ask(&a);
    uv_run(&a.fixture.loop, UV_RUN_DEFAULT);
    assert_int_equal(a.question, QUESTIONS);
    for (unsigned n = 0; n < SLOTS; n++) {
        uv_thread_join(&a.answerers[n].thread);
        uv_sem_destroy(&a.answerers[n].asked);
    }
    fixture_deinit(&a.fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_taken_once),
        cmocka_unit_test(an_answer_may_be_empty),
        cmocka_unit_test(what_was_told_since_comes_at_once),
        cmocka_unit_test(the_oldest_news_come_first),
        cmocka_unit_test(reports_that_nobody_took_are_freed),
        cmocka_unit_test(each_question_gets_an_answer_from_each_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
