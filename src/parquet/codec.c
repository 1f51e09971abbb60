/* How pages are compressed. */
#include <stddef.h>

#include "parquet/internal.h"

static const struct {
    int number;
    const char *name;
    lf_unpack_block *unpack;
} codecs[] = {
#define LF_PQ_CODEC(number, name, unpack) {number, name, unpack},
#include "parquet/codecs.def"
#undef LF_PQ_CODEC
};

enum { N_CODECS = sizeof codecs / sizeof *codecs };

bool lf_pq_codec_known(int codec, const char **name) {
    *name = codec == LF_PQ_UNCOMPRESSED ? "none" : "an unknown codec";
    for (int i = 0; i < N_CODECS; i++)
        if (codecs[i].number == codec) {
            *name = codecs[i].name;
            return codecs[i].unpack;
        }
    return codec == LF_PQ_UNCOMPRESSED;
}

lf_unpack_block *lf_pq_codec_unpack(int codec) {
    for (int i = 0; i < N_CODECS; i++)
        if (codecs[i].number == codec) return codecs[i].unpack;
    return NULL;
}
