/* How deep the stack has been. */
#ifndef STACK_H
#define STACK_H

/* Fills the stack below the caller with a pattern; board_stack_peak() looks where it is gone. */
void native_stack_paint(void);

#endif
