# The fast kernels are plain C loops that the compiler turns into vectors, once for each instruction set. Here, and
# nowhere else, it may fuse multiply and add and forget about floating-point traps; NaN and infinity keep their meaning
# and sums keep their order (but for the reductions that a loop declares).
set(LF_FAST_FLAGS -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math -fno-signed-zeros)
if(LF_SANITIZE AND CMAKE_C_COMPILER_ID MATCHES Clang)
  list(APPEND LF_FAST_FLAGS -Wno-pass-failed) # its checks of every access leave no loop that can be vectorised
endif()
if(LF_FUZZ) # what is looked for stands in readers of files; checks in these loops take minutes to compile
  list(APPEND LF_FAST_FLAGS -O1 -fno-sanitize=all)
endif()
set_source_files_properties(src/kernels/product/blas.c PROPERTIES COMPILE_OPTIONS "${LF_FAST_FLAGS}")
set(LF_AVX2_FLAGS -mavx2 -mfma)
set(LF_AVX512_FLAGS -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512)

set(LF_BASELINE_SOURCES src/kernels/fast/baseline.c src/kernels/fast/baseline_bf16.c)
set(LF_AVX2_SOURCES src/kernels/fast/avx2.c src/kernels/fast/avx2_bf16.c)
set(LF_DOT_SOURCES src/kernels/fast/avx512_dot.c)
set(LF_VNNI_SOURCES src/kernels/product/vnni.c)
set(LF_AVX512_SOURCES src/kernels/fast/avx512.c src/kernels/fast/avx512_bf16.c)
set_source_files_properties(${LF_BASELINE_SOURCES} PROPERTIES COMPILE_OPTIONS "${LF_FAST_FLAGS}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set_source_files_properties(${LF_AVX2_SOURCES} PROPERTIES COMPILE_OPTIONS "${LF_FAST_FLAGS};${LF_AVX2_FLAGS}")
  set_source_files_properties(${LF_AVX512_SOURCES} PROPERTIES COMPILE_OPTIONS "${LF_FAST_FLAGS};${LF_AVX512_FLAGS}")
  set_source_files_properties(${LF_DOT_SOURCES} PROPERTIES COMPILE_OPTIONS "${LF_FAST_FLAGS};${LF_AVX512_FLAGS};-mavx512bf16")
  set_source_files_properties(${LF_VNNI_SOURCES} PROPERTIES COMPILE_OPTIONS "${LF_FAST_FLAGS};${LF_AVX512_FLAGS};-mavx512vnni")
else()
  set_source_files_properties(${LF_AVX2_SOURCES} ${LF_AVX512_SOURCES} ${LF_DOT_SOURCES} ${LF_VNNI_SOURCES} PROPERTIES HEADER_FILE_ONLY TRUE)
endif()
