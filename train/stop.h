/* stop.h - on SIGINT, SIGTERM or SIGHUP a run finishes its step, saves and ends; a second one ends the process at once.
 */
#ifndef CALVARIA_TRAIN_STOP_H
#define CALVARIA_TRAIN_STOP_H

#include <stdbool.h>

/* Also ignores SIGPIPE (a plotter that died must not take the run with it) and SIGXFSZ (a file size limit is an error
 * like a full disk). */
void stop_install(void);
void stop_uninstall(void); /* puts the earlier handlers back and forgets a request */
bool stop_requested(void);
const char *stop_signal(void); /* "SIGINT", "SIGTERM", "SIGHUP", or NULL */

#endif
