/* The two stb libraries with their heap turned to lf_malloc. Include this, never <stb/...>, in this folder. */
#ifndef LF_EXAMPLES_LETTERS_STB_H
#define LF_EXAMPLES_LETTERS_STB_H

#include <stddef.h>

/* stb does not check each of its allocations, so here running out of memory ends the program with a message. The
 * output folder is still under its temporary name then, and the next run removes it. */
void *lf_stb_calloc(size_t size); /* cleared, and with cleared bytes behind it */
void *lf_stb_realloc(void *p, size_t size);
void lf_stb_free(void *p);

#define STBTT_malloc(size, user) ((void)(user), lf_stb_calloc(size))
#define STBTT_free(p, user)      ((void)(user), lf_stb_free(p))
#define STBIW_MALLOC(size)       lf_stb_realloc(NULL, size)
#define STBIW_REALLOC(p, size)   lf_stb_realloc(p, size)
#define STBIW_FREE(p)            lf_stb_free(p)

#include <stb/stb_image_write.h>
#include <stb/stb_truetype.h>

#endif
