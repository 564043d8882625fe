/* The commands of the gesture application: docs/link.md from GESTURE to MOTION. */
#ifndef GESTURE_COMMANDS_H
#define GESTURE_COMMANDS_H

#include "application.h"

enum { TS_GESTURE_COMMANDS = 6 };

/* For ts_application.commands; its context is the ts_gestures. */
extern const ts_command ts_gesture_commands[TS_GESTURE_COMMANDS];

/* For ts_application.begin. */
void ts_gesture_session(struct ts_link *link);

#endif
