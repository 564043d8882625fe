/* The commands of the keyword application: docs/link.md from KEYWORD to FEATURES. */
#ifndef KEYWORD_COMMANDS_H
#define KEYWORD_COMMANDS_H

#include "application.h"

enum { TS_KEYWORD_COMMANDS = 7 };

/* For ts_application.commands; its context is the ts_keywords. */
extern const ts_command ts_keyword_commands[TS_KEYWORD_COMMANDS];

/* For ts_application.begin. */
void ts_keyword_session(struct ts_link *link);

#endif
