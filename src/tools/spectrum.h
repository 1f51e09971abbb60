/* What the verb `spectrum` finds, for its files: the work (spectrum.c), tables (spectrum_write.c), pictures
 * (spectrum_pictures.c). */
#ifndef LF_TOOLS_SPECTRUM_H
#define LF_TOOLS_SPECTRUM_H

#include "eval/geometry.h"
#include "tools/common.h"

typedef struct lf_spectrum_row { /* of a module */
    const lf_module *m;
    int64_t n, r;                                           /* components; how many make a block */
    double *sigma;                                          /* [n], descending */
    double sigma_max, sigma_min, condition, effective_rank; /* condition: their ratio, may be infinite */
    int64_t start_middle, start_last,
        start_chosen; /* first components of blocks; chosen -1: init_lora_weights takes none */
    double energy_first, energy_middle, energy_last, energy_chosen; /* shares of sum sigma^2; NAN */
    int64_t update_rank; /* 0: it has no adapter, and what follows is not filled */
    lf_geometry update;
    double *cells; /* [lf_map_cells(n)]^2 */
} lf_spectrum_row;

typedef struct lf_spectra {
    const lf_config *cfg;
    const char *dir; /* output_dir; NULL: no files */
    const lf_model *model;
    bool adapted; /* an adapter is on some of the modules */
    lf_adapter_opts o;
    lf_match match;
    lf_spectrum_row *rows; /* one for each module of match */
    bool drawn, map_drawn; /* spectrum.svg, update-map.svg */
} lf_spectra;

/* To `out`: aligned tables, or one JSON object. */
void lf_spectra_table(const lf_spectra *s, FILE *out);
lf_status lf_spectra_json(const lf_spectra *s, FILE *out, lf_err *err);
/* DIR/spectrum.csv (a row a module, the columns of the tables) and DIR/singular-values.csv (module, i, sigma). */
lf_status lf_spectra_csv(const lf_spectra *s, lf_err *err);

/* DIR/spectrum.svg and, with an adapter, DIR/update-map.svg with update-map.csv; without gnuplot their scripts. */
lf_status lf_spectra_pictures(lf_spectra *s, lf_err *err);

#endif
