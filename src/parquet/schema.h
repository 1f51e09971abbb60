/* The tree of columns, from the flat list that a footer has. */
#ifndef LF_PARQUET_SCHEMA_H
#define LF_PARQUET_SCHEMA_H

#include "parquet/internal.h"
#include "parquet/thrift.h"

/* Reads the list of elements into p: nodes, leaves and columns. `f` is the list's field. */
lf_status lf_pq_schema_read(lf_parquet *p, lf_thrift *t, const lf_thrift_field *f, lf_err *err);

#endif
