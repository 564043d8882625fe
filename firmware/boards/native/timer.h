/* The timer of board.h, as far as the rest of the board has to know. */
#ifndef TIMER_H
#define TIMER_H

/* Ends it; no signal of it is left over. */
void native_timer_stop(void);

#endif
