/* How much memory pictures that are large may take at once, over all threads: a picture that has no room waits until
 * others are done, and one alone always has. What it will take is known from its size, before it is decoded. */
#include <pthread.h>

#include "data/image/internal.h"

/* Decoded pixels and a copy: turned upright, or the decoder's own form. */
enum { BYTES_PER_PIXEL = 6, MOST_HELD = 256 };
static const int64_t budget = (int64_t)1 << 30, small = 4 << 20; /* small ones do not count */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int64_t used, most;
static struct {
    const unsigned char *pixels; /* NULL: a free place */
    int64_t bytes;
    pthread_t owner;
} held[MOST_HELD];
static _Thread_local int64_t entered; /* of the picture that this thread decodes */

/* Who holds pictures and waits for room for another would wait for himself. */
static int64_t held_by_me(void) {
    int64_t sum = 0;
    for (int i = 0; i < MOST_HELD; i++)
        if (held[i].pixels && pthread_equal(held[i].owner, pthread_self())) sum += held[i].bytes;
    return sum;
}

static void give_back(int64_t bytes) {
    used -= bytes;
    pthread_cond_broadcast(&changed);
}

void lf_image_enter(int w, int h) {
    const int64_t bytes = (int64_t)w * h * BYTES_PER_PIXEL;
    lf_image_leave();
    if (bytes < small) return;
    pthread_mutex_lock(&lock);
    while (used + bytes > budget && used > held_by_me()) pthread_cond_wait(&changed, &lock);
    used += bytes;
    entered = bytes;
    if (used > most) most = used;
    pthread_mutex_unlock(&lock);
}

void lf_image_leave(void) {
    if (!entered) return;
    pthread_mutex_lock(&lock);
    give_back(entered);
    entered = 0;
    pthread_mutex_unlock(&lock);
}

void lf_image_hold(const lf_image *img) {
    if (!entered) return;
    const int64_t bytes = (int64_t)lf_image_bytes(img->width, img->height, img->channels);
    pthread_mutex_lock(&lock);
    int i = 0;
    while (i < MOST_HELD && held[i].pixels) i++;
    if (i < MOST_HELD) {
        held[i].pixels = img->pixels;
        held[i].bytes = bytes;
        held[i].owner = pthread_self();
        used += bytes;
    }
    give_back(entered);
    entered = 0;
    pthread_mutex_unlock(&lock);
}

void lf_image_let_go(const lf_image *img) {
    if (!img->pixels || (int64_t)lf_image_bytes(img->width, img->height, BYTES_PER_PIXEL) < small) return;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_HELD; i++) {
        if (held[i].pixels != img->pixels) continue;
        held[i].pixels = NULL;
        give_back(held[i].bytes);
        break;
    }
    pthread_mutex_unlock(&lock);
}

int64_t lf_image_most_bytes(int64_t *now) {
    pthread_mutex_lock(&lock);
    const int64_t n = most;
    *now = used;
    most = used;
    pthread_mutex_unlock(&lock);
    return n;
}
