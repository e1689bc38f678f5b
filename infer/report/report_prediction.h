/* report_prediction.h - private to infer/: what a shape model found of the head, and how sure it is of the implant. */
#ifndef CALVARIA_INFER_REPORT_REPORT_PREDICTION_H
#define CALVARIA_INFER_REPORT_REPORT_PREDICTION_H

#include "data/segment/plausible.h"
#include "infer/report/report.h"
#include "shape/restore.h"

/* Of a shape model, of a network on one, or of an ensemble: fills report->prediction and, where png is not NULL and the
 * implant not empty, draws the implant coloured by its 90 % interval. */
enum status report_prediction(struct report *report, const struct restoration *restoration,
                              const struct restorer *restorer, const char *png, struct error *error);
/* How the head lies in the volume, where that is not as in most scans. */
void report_pose_warnings(struct warnings *warnings, const struct pose_found *pose);
/* Its warnings, by report_warn. */
void report_prediction_warnings(struct report *report, const struct shape_restoration *shape);
void report_warn(struct report *report, const char *format, ...) ERROR_PRINTF(2, 3);

#endif
