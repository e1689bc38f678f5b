/* task.h - what a network returns: the completed skull, or the implant alone. */
#ifndef CALVARIA_DATA_TASK_H
#define CALVARIA_DATA_TASK_H

enum task { TASK_COMPLETION, TASK_IMPLANT };
extern const char *const task_names[]; /* "completion", "implant", NULL */

#endif
