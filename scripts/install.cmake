# What `cmake --install` puts where, and the Debian packages that `cpack` makes of it:
#   lora-ft       the program, its manual pages and completions, documents, and what the examples need
#   lora-ft-mpi   the program for several machines (docs/cluster.md)
#   liblora-ft0   the shared library; 0 is its ABI (LF_ABI)
#   lora-ft-dev   its header, the archive, what pkg-config says of them, and the examples of docs/library.md

# ---- pages and completions, made by the program itself ----
if(NOT LF_SANITIZE AND NOT LF_FUZZ)
  set(LF_MADE ${CMAKE_BINARY_DIR}/documents)
  file(READ include/lora_ft.h LF_HEADER)
  string(REGEX MATCHALL "\n    X\\([a-z]+, [A-Z]+, " LF_VERB_LINES "${LF_HEADER}")
  set(LF_PAGES ${LF_MADE}/lora-ft.1)
  set(LF_MAKE_PAGES COMMAND lora-ft help --man > ${LF_MADE}/lora-ft.1)
  foreach(line ${LF_VERB_LINES})
    string(REGEX REPLACE ".*X\\(([a-z]+), .*" "\\1" verb "${line}")
    list(APPEND LF_PAGES ${LF_MADE}/lora-ft-${verb}.1)
    list(APPEND LF_MAKE_PAGES COMMAND lora-ft help --man ${verb} > ${LF_MADE}/lora-ft-${verb}.1)
  endforeach()
  add_custom_command(OUTPUT ${LF_PAGES} ${LF_MADE}/lora-ft.bash ${LF_MADE}/_lora-ft
                     COMMAND ${CMAKE_COMMAND} -E make_directory ${LF_MADE}
                     ${LF_MAKE_PAGES}
                     COMMAND lora-ft help --completion bash > ${LF_MADE}/lora-ft.bash
                     COMMAND lora-ft help --completion zsh > ${LF_MADE}/_lora-ft
                     DEPENDS lora-ft VERBATIM)
  add_custom_target(documents ALL DEPENDS ${LF_PAGES})
  install(FILES ${LF_PAGES} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
  install(FILES ${LF_MADE}/lora-ft.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME lora-ft
          COMPONENT program)
  install(FILES ${LF_MADE}/_lora-ft DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT program)
endif()

# ---- programs, library, documents, examples ----
install(TARGETS lora-ft RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(TARGETS lf-letters RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/lora-ft COMPONENT program)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright COMPONENT program)
install(DIRECTORY configs data DESTINATION ${CMAKE_INSTALL_DATADIR}/lora-ft COMPONENT program)
install(PROGRAMS scripts/make-letters.sh scripts/make-texts.sh scripts/letter-groups.sh scripts/sweep-lr.sh scripts/slurm-array.sh
        DESTINATION ${CMAKE_INSTALL_DATADIR}/lora-ft/scripts COMPONENT program)
install(FILES scripts/letters-fonts.txt DESTINATION ${CMAKE_INSTALL_DATADIR}/lora-ft/scripts COMPONENT program)
if(TARGET lora-ft-mpi)
  install(TARGETS lora-ft-mpi RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT mpi)
endif()
install(TARGETS lora_ft ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
install(FILES include/lora_ft.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(DIRECTORY src/examples/library/ DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/lora-ft-dev/examples COMPONENT dev)
if(TARGET shared)
  install(TARGETS shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT dev)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/liblora-ft${LF_ABI} RENAME copyright COMPONENT library)
endif()

# Paths are those from where the file lies, so that it is right below any prefix. Of the libraries that ours is made with a program
# needs to know only where it takes the archive (pkg-config --static).
file(RELATIVE_PATH LF_UP ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" LF_UP "${LF_UP}")
# The OpenMP that the archive was compiled for. gcc's is found by name; another one by its place, since who links may use another compiler.
list(GET OpenMP_C_LIB_NAMES 0 LF_OPENMP_NAME)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  set(LF_OPENMP "-l${LF_OPENMP_NAME}")
else()
  set(LF_OPENMP "${OpenMP_${LF_OPENMP_NAME}_LIBRARY}")
endif()
file(CONFIGURE OUTPUT lora-ft.pc @ONLY CONTENT [[
prefix=${pcfiledir}/@LF_UP@
includedir=${prefix}/@CMAKE_INSTALL_INCLUDEDIR@
libdir=${prefix}/@CMAKE_INSTALL_LIBDIR@

Name: lora-ft
Description: fine-tune pretrained transformers with LoRA, and measure what they forget
Version: @PROJECT_VERSION@
Cflags: -I${includedir}
Libs: -L${libdir} -llora_ft
Libs.private: -lopenblas -llapacke -ldnnl -lcjson -lpcre2-8 -lyaml -lxxhash -ljpeg -ltiff -lwebpdemux -lwebp -lutf8proc -lzstd -lsnappy -lz @LF_OPENMP@ -pthread -lm
]])
install(FILES ${CMAKE_BINARY_DIR}/lora-ft.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

# ---- packages ----
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lora-ft)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "the authors of lora-ft <lora-ft@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "fine-tune pretrained transformers with LoRA, and measure what they forget")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL program library dev)
if(TARGET lora-ft-mpi)
  list(APPEND CPACK_COMPONENTS_ALL mpi)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON) # a program that was built with one version needs that or a later one of the ABI
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
                                                WORLD_EXECUTE)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME lora-ft)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS gnuplot-nox)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SUGGESTS "dataset-fashion-mnist, fonts-dejavu-core, bible-kjv")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME liblora-ft${LF_ABI})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEV_PACKAGE_NAME lora-ft-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "liblora-ft${LF_ABI} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_MPI_PACKAGE_NAME lora-ft-mpi)
set(CPACK_DEBIAN_MPI_PACKAGE_DEPENDS "lora-ft (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION
    "Starts LoRA adapters from any block of singular components of a transformer's weights, trains them on this machine's\n\
processor, and reports what was learned and what was forgotten. Reads and writes the formats of PEFT and transformers.")
set(CPACK_COMPONENT_MPI_DESCRIPTION "The program of lora-ft that trains and evaluates on several machines at once, by MPI.")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "The library of lora-ft: classify, score, generate and train in a program of one's own.")
set(CPACK_COMPONENT_DEV_DESCRIPTION "What a program needs to be built with the library of lora-ft: header, archive, pkg-config, and examples in C and Python.")
include(CPack)
