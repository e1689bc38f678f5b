/* stop.c - Signals that end a run in order; see stop.h. The flag is process-wide because signals are.
 * Test: tests/train/test_stop.c */
#include "train/stop.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t stop_flag;
static struct sigaction stop_before_int, stop_before_term, stop_before_hangup, stop_before_pipe, stop_before_size;

static void stop_handler(int number)
{
    stop_flag = number;
}

void stop_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = stop_handler;
    action.sa_flags = (int)(SA_RESTART | SA_RESETHAND); /* reset: the second signal has its default effect */
    stop_flag = 0;
    sigaction(SIGINT, &action, &stop_before_int);
    sigaction(SIGTERM, &action, &stop_before_term);
    sigaction(SIGHUP, &action, &stop_before_hangup);
    if (stop_before_hangup.sa_handler == SIG_IGN) /* nohup: the run outlives its terminal */
        sigaction(SIGHUP, &stop_before_hangup, NULL);
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    sigaction(SIGPIPE, &action, &stop_before_pipe);
    sigaction(SIGXFSZ, &action, &stop_before_size);
}

void stop_uninstall(void)
{
    sigaction(SIGINT, &stop_before_int, NULL);
    sigaction(SIGTERM, &stop_before_term, NULL);
    sigaction(SIGHUP, &stop_before_hangup, NULL);
    sigaction(SIGPIPE, &stop_before_pipe, NULL);
    sigaction(SIGXFSZ, &stop_before_size, NULL);
    stop_flag = 0;
}

bool stop_requested(void)
{
    return stop_flag != 0;
}

const char *stop_signal(void)
{
    switch (stop_flag) {
    case SIGINT:
        return "SIGINT";
    case SIGTERM:
        return "SIGTERM";
    case SIGHUP:
        return "SIGHUP";
    default:
        return NULL;
    }
}
