/* The audio codec WM8994: its two digital microphones. */
#ifndef WM8994_H
#define WM8994_H

/* All return 0, or -1 if the codec doesn't answer, or not as it must. */

/* Resets the codec and gives its microphones power, which takes 50 ms. */
int wm8994_power(void);

/* Microphones to the audio interface, at 16 kHz; they are heard from this call's end on. The codec's clock, 256
 * times that, must run, and the power have been on for 50 ms. */
int wm8994_listen(void);

/* Whether it is there and set as wm8994_listen() left it. Takes 0.6 ms. */
int wm8994_check(void);

#endif
